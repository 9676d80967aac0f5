#include "base/read_file.h"

#include <filesystem>
#include <fstream>

namespace kiln {

StatusOr<std::vector<std::uint8_t>> ReadFile(const std::string& path, std::uint64_t limit) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return Error(StatusCode::kNotFound, "no such file: ", path);
  }
  if (!std::filesystem::is_regular_file(status)) {
    return Error(StatusCode::kInvalidArgument, path, ": not a regular file");
  }
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return Error(StatusCode::kInvalidArgument, path, ": ", error.message());
  if (size > limit) {
    return Error(StatusCode::kInvalidArgument, path, ": ", size, " bytes, at most ", limit,
                 " are read");
  }
  std::vector<std::uint8_t> bytes(size);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!file || static_cast<std::uintmax_t>(file.gcount()) != size) {
    return Error(StatusCode::kInvalidArgument, path, ": cannot be read");
  }
  return bytes;
}

Status InFile(const std::string& path, const Status& status) {
  if (status.ok()) return status;
  return Error(status.code(), path, ": ", Message(status));
}

}  // namespace kiln
