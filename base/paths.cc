#include "base/paths.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

namespace kiln {
namespace {

namespace fs = std::filesystem;

fs::path ProgramDirectory() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

fs::path& InstallPrefix() {
  static fs::path prefix;
  return prefix;
}

std::string Join(const std::vector<fs::path>& places) {
  std::string text;
  for (const fs::path& place : places) text += (text.empty() ? "" : ", ") + place.string();
  return text;
}

bool IsProgram(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

// "a:b" as {a, b}.
std::vector<fs::path> SplitPath(std::string_view list) {
  std::vector<fs::path> places;
  while (!list.empty()) {
    const std::size_t colon = std::min(list.find(':'), list.size());
    places.emplace_back(list.substr(0, colon));
    list.remove_prefix(std::min(colon + 1, list.size()));
  }
  return places;
}

}  // namespace

void SetInstallPrefix(std::string_view prefix) { InstallPrefix() = prefix; }

StatusOr<std::string> FindHelper(std::string_view name) {
  std::vector<fs::path> places;
  if (const char* chosen = std::getenv("KILN_LIBEXEC")) {
    places = {fs::absolute(chosen)};
  } else {
    const fs::path here = ProgramDirectory();
    places = {here, here.parent_path(), here.parent_path() / "libexec" / "kiln"};
    if (const fs::path& prefix = InstallPrefix(); !prefix.empty()) {
      places.insert(places.end(), {prefix / "bin", prefix / "libexec" / "kiln"});
    }
  }
  for (const fs::path& place : places) {
    const fs::path program = place / name;
    if (IsProgram(program)) return program.string();
  }
  return Error(StatusCode::kNotFound, "no helper program ", name, " in ", Join(places),
               "; KILN_LIBEXEC names another place");
}

StatusOr<std::string> FindProgram(std::string_view name) {
  std::vector<fs::path> places;
  if (name.find('/') != std::string_view::npos) {
    places.push_back(fs::path());
  } else if (const char* path = std::getenv("PATH")) {
    places = SplitPath(path);
  }
  for (const fs::path& place : places) {
    std::error_code error;
    const fs::path program = fs::absolute(place / name, error);
    if (IsProgram(program)) return program.string();
  }
  return Error(StatusCode::kNotFound, "no program ", name,
               name.find('/') != std::string_view::npos ? "" : " in $PATH");
}

StatusOr<std::string> FindData(std::string_view name) {
  std::vector<fs::path> places;
  if (const char* chosen = std::getenv("KILN_DATA")) {
    places = {fs::absolute(chosen)};
  } else {
    const fs::path above = ProgramDirectory().parent_path();
    places = {above / "share" / "kiln", above.parent_path() / "share" / "kiln"};
    if (const fs::path& prefix = InstallPrefix(); !prefix.empty()) {
      places.push_back(prefix / "share" / "kiln");
    }
  }
  for (const fs::path& place : places) {
    const fs::path directory = place / name;
    std::error_code error;
    if (fs::is_directory(directory, error)) return directory.string();
  }
  return Error(StatusCode::kNotFound, "no data directory ", name, " in ", Join(places),
               "; KILN_DATA names another place");
}

}  // namespace kiln
