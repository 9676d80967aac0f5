#pragma once

#include <string>
#include <string_view>

namespace kiln {

// This is a file that has a path while it is open and leaves nothing behind (memfd). Aborts when
// the system has no descriptor or memory left for it.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes = {});
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int fd() const { return fd_; }
  std::string path() const;

  // Empties it and returns what was in it.
  std::string Drain();

 private:
  int fd_;
};

}  // namespace kiln
