#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "export/library_files.h"
#include "export/manifest.h"
#include "toolchain/compiler.h"

namespace kiln {

struct WrittenLibrary {
  std::size_t compiled = 0;  // objects; the others were there
};

// This is the directory of an exported library, new or written before. What is in it and unchanged
// is left alone, so that builds see only what changed. It belongs to one program at a time.
class LibraryDirectory {
 public:
  // Makes the directory if there is none, and waits until no other program exports into it.
  // kFailedPrecondition: it has other files, or a library of another name; nothing is touched then.
  static StatusOr<LibraryDirectory> Open(const std::string& path, const std::string& name);

  // Compiles what is not there, on `jobs` threads, and writes all files; kernels that the library
  // does not have any more go. kInternal names a kernel that does not compile.
  StatusOr<WrittenLibrary> Write(const Library& library, LibraryStyle style,
                                 const std::string& cases, Compiler& compiler, std::int32_t jobs);

 private:
  // A directory that no other program may write until this goes.
  class Lock {
   public:
    explicit Lock(int directory) : directory_(directory) {}
    Lock(Lock&& other) noexcept : directory_(std::exchange(other.directory_, -1)) {}
    Lock(const Lock&) = delete;
    ~Lock();

   private:
    int directory_;
  };

  LibraryDirectory(std::string path, Lock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  Lock lock_;
  ObjectRecords present_;  // by a compiler of the same version and flags
  std::string present_compiler_;
};

}  // namespace kiln
