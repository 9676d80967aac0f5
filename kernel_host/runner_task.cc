#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "kernel_host/descriptors.h"
#include "kernel_host/memory_file.h"
#include "kernel_host/runner.h"

// A task goes as one message: its length, and as descriptors the file that holds it and those that
// it speaks of.

namespace kiln {
namespace {

constexpr std::size_t kFiles = 4;  // before the cases': the task's own, report, y, fresh

std::string Write(const RunnerTask& task) {
  ByteWriter out;
  out.PutBytes(Serialize(task.request));
  out.PutVector(task.cases);
  out.Put(task.fresh);
  out.Put(task.y_bytes);
  return out.Take();
}

bool Read(std::string_view bytes, RunnerTask& task) {
  ByteReader in(bytes);
  const bool readable = Deserialize(in.GetBytes(), task.request);
  task.cases = in.GetVector<CaseLayout>();
  task.fresh = in.Get<FreshLayout>();
  task.y_bytes = in.Get<std::uint64_t>();
  return readable && in.ok() && in.at_end();
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

bool SendTask(int channel, const RunnerTask& task) {
  const std::string bytes = Write(task);
  const MemoryFile file = MemoryFile::Make("kiln-task", 0);
  if (!file.is_open() || !WriteAll(file.fd(), bytes)) return false;
  std::vector<int> files = {file.fd(), task.files.report, task.files.y, task.files.fresh};
  files.insert(files.end(), task.files.cases.begin(), task.files.cases.end());
  return SendWithDescriptors(channel, std::uint64_t{bytes.size()}, files);
}

bool ReceiveTask(int channel, RunnerTask& task) {
  std::uint64_t size = 0;
  std::vector<int> files;
  if (!ReceiveWithDescriptors(channel, size, files) || files.size() < kFiles) return false;
  const MemoryFile file(files[0]);
  void* bytes = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd(), 0);
  if (bytes == MAP_FAILED) return false;
  const bool readable = Read({static_cast<const char*>(bytes), size}, task);
  munmap(bytes, size);
  task.files.report = files[1];
  task.files.y = files[2];
  task.files.fresh = files[3];
  task.files.cases.assign(files.begin() + kFiles, files.end());
  return readable && task.files.cases.size() == task.cases.size();
}

}  // namespace kiln
