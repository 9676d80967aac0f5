#include "kernel_host/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

namespace kiln {

MemoryFile MemoryFile::Make(const char* name, std::size_t bytes) {
  MemoryFile file(memfd_create(name, MFD_CLOEXEC));
  if (!file.is_open() || ftruncate(file.fd(), static_cast<off_t>(bytes)) != 0) return {};
  return file;
}

MemoryFile::~MemoryFile() {
  if (is_open()) close(fd_);
}

}  // namespace kiln
