#include "base/paths.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace kiln {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PathsTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(place_ / "targets");
    std::ofstream(place_ / "kiln-host") << "#!/bin/sh\n";
    std::ofstream(place_ / "notes") << "not a program\n";
    fs::permissions(place_ / "kiln-host", fs::perms::owner_all);
  }
  void TearDown() override {
    unsetenv("KILN_LIBEXEC");
    unsetenv("KILN_DATA");
    SetInstallPrefix("");
    fs::remove_all(place_);
  }
  const fs::path place_ = fs::temp_directory_path() / ("paths_test." + std::to_string(getpid()));
};

TEST_F(PathsTest, EnvironmentNamesTheOnlyPlaceForHelpers) {
  setenv("KILN_LIBEXEC", place_.c_str(), 1);
  EXPECT_EQ(*FindHelper("kiln-host"), place_ / "kiln-host");
  const auto here = FindHelper(fs::read_symlink("/proc/self/exe").filename().string());
  EXPECT_EQ(here.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(here.status()), HasSubstr(place_.string()));
}

TEST_F(PathsTest, HelperMustBeExecutable) {
  setenv("KILN_LIBEXEC", place_.c_str(), 1);
  EXPECT_EQ(FindHelper("notes").status().code(), StatusCode::kNotFound);
}

TEST_F(PathsTest, HelpersAreFoundBesideTheProgram) {
  const fs::path self = fs::read_symlink("/proc/self/exe");
  EXPECT_EQ(*FindHelper(self.filename().string()), self);
}

TEST_F(PathsTest, InstallPrefixIsLookedIn) {
  for (const char* folder : {"bin", "libexec/kiln", "share/kiln/networks"}) {
    fs::create_directories(place_ / folder);
  }
  fs::copy(place_ / "kiln-host", place_ / "bin/kiln-elsewhere");
  fs::copy(place_ / "kiln-host", place_ / "libexec/kiln/kiln-private");
  EXPECT_EQ(FindHelper("kiln-elsewhere").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(FindData("networks").status().code(), StatusCode::kNotFound);
  SetInstallPrefix(place_.string());
  EXPECT_EQ(*FindHelper("kiln-elsewhere"), place_ / "bin/kiln-elsewhere");
  EXPECT_EQ(*FindHelper("kiln-private"), place_ / "libexec/kiln/kiln-private");
  EXPECT_EQ(*FindData("networks"), place_ / "share/kiln/networks");
}

TEST_F(PathsTest, PlaceOfTheProgramComesBeforeTheInstallPrefix) {
  const fs::path self = fs::read_symlink("/proc/self/exe");
  fs::create_directories(place_ / "bin");
  fs::copy(place_ / "kiln-host", place_ / "bin" / self.filename());
  SetInstallPrefix(place_.string());
  EXPECT_EQ(*FindHelper(self.filename().string()), self);
}

TEST_F(PathsTest, MissingHelperNamesThePlaces) {
  const std::string message = Message(FindHelper("kiln-nothing").status());
  EXPECT_THAT(message, HasSubstr("kiln-nothing"));
  EXPECT_THAT(message, HasSubstr("libexec/kiln"));
}

TEST_F(PathsTest, OtherProgramsAreFoundAsAShellFindsThem) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", ("/nowhere:" + place_.string() + ":" + path).c_str(), 1);
  EXPECT_EQ(*FindProgram("kiln-host"), place_ / "kiln-host");
  EXPECT_EQ(FindProgram("notes").status().code(), StatusCode::kNotFound) << "not executable";
  EXPECT_EQ(*FindProgram((place_ / "kiln-host").string()), place_ / "kiln-host");
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(FindProgram("kiln-host").status().code(), StatusCode::kNotFound);
}

TEST_F(PathsTest, EnvironmentNamesTheOnlyPlaceForData) {
  setenv("KILN_DATA", place_.c_str(), 1);
  EXPECT_EQ(*FindData("targets"), place_ / "targets");
  EXPECT_EQ(FindData("networks").status().code(), StatusCode::kNotFound);
}

TEST_F(PathsTest, MissingDataNamesThePlaces) {
  EXPECT_THAT(Message(FindData("nothing").status()), HasSubstr("share/kiln"));
}

}  // namespace
}  // namespace kiln
