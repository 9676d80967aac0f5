#include "rpc_server/core_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace kiln {
namespace {

class FileCoreLock final : public CoreLock {
 public:
  explicit FileCoreLock(std::vector<int> files) : files_(std::move(files)) {}
  ~FileCoreLock() override {
    for (const int file : files_) close(file);
  }

  // In order of core, as everybody does, so that nobody waits in a circle.
  Status Take() override {
    for (const int file : files_) {
      while (flock(file, LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        const int error = errno;
        Give();
        return Error(StatusCode::kUnavailable, "cannot lock the cores: ", std::strerror(error));
      }
    }
    return absl::OkStatus();
  }
  void Give() override {
    for (const int file : files_) flock(file, LOCK_UN);
  }

 private:
  const std::vector<int> files_;
};

Status PrepareDirectory(const std::string& directory) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error(StatusCode::kUnavailable, "cannot make ", directory, ": ", std::strerror(errno));
  }
  struct stat status {};
  if (lstat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
      status.st_uid != geteuid() || (status.st_mode & 0022) != 0) {
    return Error(StatusCode::kPermissionDenied, directory,
                 " must be a directory of this user that nobody else may write to");
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<CoreLock>> OpenCoreLock(const std::string& directory,
                                                 std::vector<std::int32_t> cores) {
  RETURN_IF_ERROR(PrepareDirectory(directory));
  std::sort(cores.begin(), cores.end());
  cores.erase(std::unique(cores.begin(), cores.end()), cores.end());
  std::vector<int> files;
  for (const std::int32_t core : cores) {
    const std::string path = directory + "/core-" + std::to_string(core) + ".lock";
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
      const Status error =
          Error(StatusCode::kUnavailable, "cannot open ", path, ": ", std::strerror(errno));
      for (const int opened : files) close(opened);
      return error;
    }
    files.push_back(file);
  }
  return std::make_unique<FileCoreLock>(std::move(files));
}

std::string CoreLockDirectory() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  std::error_code none;
  if (runtime && std::filesystem::is_directory(runtime, none)) {
    return std::string(runtime) + "/kiln";
  }
  return "/tmp/kiln-" + std::to_string(geteuid());
}

}  // namespace kiln
