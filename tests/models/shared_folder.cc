#include "shared_folder.h"

#include <stdlib.h>

#include <algorithm>
#include <fstream>

namespace kiln {

std::filesystem::path DataPath(const std::string& relative) {
  return std::filesystem::path(KILN_SOURCE_DIR) / "tests/data" / relative;
}

std::optional<std::filesystem::path> SharedPath(const std::string& relative) {
  const char* set = getenv("KILN_SHARED");
  const std::filesystem::path folder =
      set != nullptr ? std::filesystem::path(set)
                     : std::filesystem::path(KILN_SOURCE_DIR).parent_path() / "shared";
  if (!std::filesystem::is_directory(folder)) return std::nullopt;
  return folder / relative;
}

std::vector<std::string> SharedModels() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(*SharedPath("models"))) {
    if (entry.path().extension() == ".tflite") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "kiln-models-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}
ScratchFolder::~ScratchFolder() { std::filesystem::remove_all(path_); }

std::string ScratchFolder::Write(const std::string& name, const std::string& bytes) const {
  const std::string path = (path_ / name).string();
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}
std::string ScratchFolder::Write(const std::string& name,
                                 const std::vector<std::uint8_t>& bytes) const {
  return Write(name, std::string(bytes.begin(), bytes.end()));
}

}  // namespace kiln
