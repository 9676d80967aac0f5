#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kiln {

// A path in tests/data, which every clone has.
std::filesystem::path DataPath(const std::string& relative);

// A path in the folder `shared` that lies beside the checkout (or where KILN_SHARED says); without
// it, no value: the caller skips its test.
std::optional<std::filesystem::path> SharedPath(const std::string& relative);

// The models in `shared`, by name without the extension.
std::vector<std::string> SharedModels();

// A directory that is removed with this.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  // Writes a file in it and returns its path.
  std::string Write(const std::string& name, const std::string& bytes) const;
  std::string Write(const std::string& name, const std::vector<std::uint8_t>& bytes) const;

 private:
  std::filesystem::path path_;
};

}  // namespace kiln

#define KILN_SKIP_WITHOUT_SHARED()                                                  \
  if (!kiln::SharedPath("")) {                                                      \
    GTEST_SKIP() << "no folder `shared` beside the checkout (or KILN_SHARED): the " \
                    "real models of others are not checked";                        \
  }                                                                                 \
  static_assert(true)
