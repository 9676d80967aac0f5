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

// Of one core.
StatusOr<int> OpenFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file >= 0) return file;
  return Error(StatusCode::kUnavailable, "cannot open ", path, ": ", std::strerror(errno));
}

class FileCoreLock final : public CoreLock {
 public:
  explicit FileCoreLock(std::string directory) : directory_(std::move(directory)) {}
  ~FileCoreLock() override {
    for (const Core& core : cores_) close(core.file);
  }

  Status Add(std::int32_t core) {
    const std::string path = directory_ + "/core-" + std::to_string(core) + ".lock";
    ASSIGN_OR_RETURN(const int file, OpenFile(path));
    cores_.push_back({path, file});
    return absl::OkStatus();
  }

  // In order of core, as everybody does, so that nobody waits in a circle.
  Status Take() override {
    for (Core& core : cores_) {
      const Status status = Lock(core);
      if (status.ok()) continue;
      Give();
      return status;
    }
    return absl::OkStatus();
  }
  void Give() override {
    for (const Core& core : cores_) flock(core.file, LOCK_UN);
  }

 private:
  struct Core {
    std::string path;
    int file = -1;
  };

  Status Lock(Core& core) {
    for (;;) {
      while (flock(core.file, LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        return Error(StatusCode::kUnavailable, "cannot lock the cores: ", std::strerror(errno));
      }
      struct stat status {};
      if (fstat(core.file, &status) != 0 || status.st_nlink > 0) return absl::OkStatus();
      // It was deleted: others lock the one that is there now.
      RETURN_IF_ERROR(PrepareDirectory(directory_));
      ASSIGN_OR_RETURN(const int file, OpenFile(core.path));
      close(std::exchange(core.file, file));
    }
  }

  const std::string directory_;
  std::vector<Core> cores_;  // in order
};

}  // namespace

StatusOr<std::unique_ptr<CoreLock>> OpenCoreLock(const std::string& directory,
                                                 std::vector<std::int32_t> cores) {
  RETURN_IF_ERROR(PrepareDirectory(directory));
  std::sort(cores.begin(), cores.end());
  cores.erase(std::unique(cores.begin(), cores.end()), cores.end());
  auto lock = std::make_unique<FileCoreLock>(directory);
  for (const std::int32_t core : cores) RETURN_IF_ERROR(lock->Add(core));
  return lock;
}

std::string CoreLockDirectory() {
  if (const char* test = std::getenv("KILN_TEST_CORE_LOCKS"); test && *test) return test;
  std::error_code none;
  const char* place = std::filesystem::is_directory("/tmp", none) ? "/tmp" : "/data/local/tmp";
  return std::string(place) + "/kiln-" + std::to_string(geteuid());
}

}  // namespace kiln
