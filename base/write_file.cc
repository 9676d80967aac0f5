#include "base/write_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/read_file.h"

namespace kiln {
namespace {

StatusCode CodeOf(int error) {
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return StatusCode::kResourceExhausted;
  return error == ENOENT ? StatusCode::kNotFound : StatusCode::kPermissionDenied;
}

// 0, or errno.
int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return fsync(fd) == 0 || errno == EINVAL ? 0 : errno;  // EINVAL: a file system that has no need
}

int WriteNew(const std::string& path, std::string_view bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return errno;
  const int error = WriteAll(fd, bytes);
  return close(fd) == 0 ? error : errno;
}

// What a file must not take the place of: as root, it could be /dev/null.
bool IsSpecial(mode_t mode) {
  return S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
}

}  // namespace

Status ReplaceFile(const std::string& path, std::string_view bytes) {
  struct stat there {};
  if (lstat(path.c_str(), &there) == 0 && IsSpecial(there.st_mode)) {
    return Error(StatusCode::kFailedPrecondition, "cannot write ", path,
                 ": it is a device, socket or pipe, which would be replaced by a file");
  }
  const std::string draft = path + ".new." + std::to_string(getpid());
  int error = WriteNew(draft, bytes);
  if (error == 0 && rename(draft.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return absl::OkStatus();
  unlink(draft.c_str());
  return Error(CodeOf(error), "cannot write ", path, ": ", std::strerror(error));
}

StatusOr<bool> UpdateFile(const std::string& path, std::string_view bytes) {
  const auto present = ReadFile(path);
  if (present.ok() && std::ranges::equal(*present, bytes, {}, {},
                                         [](char c) { return static_cast<std::uint8_t>(c); })) {
    return false;
  }
  RETURN_IF_ERROR(ReplaceFile(path, bytes));
  return true;
}

}  // namespace kiln
