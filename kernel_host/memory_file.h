#pragma once

#include <cstddef>
#include <utility>

namespace kiln {

// This is memory that other processes can be given: a memfd. It goes when nobody has it any more.
class MemoryFile {
 public:
  MemoryFile() = default;  // no file
  explicit MemoryFile(int fd) : fd_(fd) {}
  // Of zeros. No file if the system refuses.
  static MemoryFile Make(const char* name, std::size_t bytes);
  MemoryFile(MemoryFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  MemoryFile& operator=(MemoryFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~MemoryFile();

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace kiln
