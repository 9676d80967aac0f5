#include "process_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "base/processor_time.h"

namespace kiln {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{30};

std::string Proc(int pid, const std::string& file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

}  // namespace

int ChildOf(int parent) {
  const std::string path = Proc(parent, "task/" + std::to_string(parent) + "/children");
  const auto deadline = steady_clock::now() + kPatience;
  while (steady_clock::now() < deadline) {
    int child = 0;
    if (std::ifstream(path) >> child) return child;
    std::this_thread::yield();
  }
  return -1;
}

int BusyChildOf(int parent) {
  constexpr std::chrono::milliseconds kEnough{5};
  const auto deadline = steady_clock::now() + kPatience;
  std::chrono::nanoseconds before{0};
  for (int last = -1; steady_clock::now() < deadline; std::this_thread::yield()) {
    const int child = ChildOf(parent);
    const auto computed = ProcessorTime(child);
    if (std::exchange(last, child) != child) before = computed;
    if (computed - before >= kEnough) return child;
  }
  return -1;
}

long MostMemoryOf(int pid) {
  std::ifstream status(Proc(pid, "status"));
  long kilobytes = 0;
  for (std::string line; std::getline(status, line);) {
    if (std::sscanf(line.c_str(), "VmHWM: %ld kB", &kilobytes) == 1) break;
  }
  return kilobytes * 1024;
}

bool HoldsInMemory(int pid, std::string_view bytes) {
  std::ifstream maps(Proc(pid, "maps"));
  const int memory = open(Proc(pid, "mem").c_str(), O_RDONLY | O_CLOEXEC);
  bool holds = false;
  for (std::string line; std::getline(maps, line) && !holds;) {
    std::uint64_t begin = 0, end = 0;
    char readable = '-';
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %c", &begin, &end, &readable) != 3) {
      continue;
    }
    if (readable != 'r') continue;
    std::string content(end - begin, '\0');
    const ssize_t size = pread(memory, content.data(), content.size(), static_cast<off_t>(begin));
    holds =
        size > 0 && std::string_view(content.data(), static_cast<std::size_t>(size)).find(bytes) !=
                        std::string_view::npos;
  }
  close(memory);
  return holds;
}

}  // namespace kiln
