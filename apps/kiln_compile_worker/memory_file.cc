#include "apps/kiln_compile_worker/memory_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace kiln {
namespace {

// The worker cannot go on, and the pool that reads this line starts another.
void AbortUnless(bool done) {
  if (done) return;
  std::perror("memory file");
  std::abort();
}

}  // namespace

MemoryFile::MemoryFile(std::string_view bytes) : fd_(memfd_create("kiln", MFD_CLOEXEC)) {
  AbortUnless(fd_ >= 0);
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    AbortUnless(written > 0);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

MemoryFile::~MemoryFile() { close(fd_); }

std::string MemoryFile::path() const { return "/proc/self/fd/" + std::to_string(fd_); }

std::string MemoryFile::Drain() {
  struct stat status {};
  AbortUnless(fstat(fd_, &status) == 0);
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got =
        pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    AbortUnless(got > 0);
    done += static_cast<std::size_t>(got);
  }
  AbortUnless(ftruncate(fd_, 0) == 0 && lseek(fd_, 0, SEEK_SET) == 0);
  return bytes;
}

}  // namespace kiln
