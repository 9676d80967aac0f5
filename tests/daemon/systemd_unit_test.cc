// The unit of systemd that is installed, as systemd itself reads it.

#include <gmock/gmock.h>

#include <cstdio>
#include <regex>
#include <string>

#include "base/paths.h"
#include "tests/base/temporary_directory.h"

namespace kiln {
namespace {

using testing::HasSubstr;

// What systemd-analyze says of a unit; empty: nothing is wrong.
std::string VerdictOn(const TemporaryDirectory& place, const std::string& unit) {
  const std::string path = place.Write("kiln-daemon.service", unit);
  const std::string command = "systemd-analyze verify '" + path + "' 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::string said;
  char part[1024];
  while (const std::size_t size = fread(part, 1, sizeof part, pipe)) said.append(part, size);
  const int status = pclose(pipe);
  return status == 0 || !said.empty() ? said : "status " + std::to_string(status);
}

class SystemdUnitTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!FindProgram("systemd-analyze").ok()) {
      GTEST_SKIP() << "SKIPPED: no systemd-analyze (Debian: apt install systemd)";
    }
    const auto directory = FindData("systemd");
    ASSERT_TRUE(directory.ok()) << directory.status();
    const std::string unit = BytesOf(*directory + "/kiln-daemon.service");
    const auto kiln = FindHelper("kiln");
    ASSERT_TRUE(kiln.ok()) << kiln.status();
    built_ = std::regex_replace(unit, std::regex("\nExecStart=[^ ]+"), "\nExecStart=" + *kiln);
    ASSERT_NE(built_, unit);
  }

  const TemporaryDirectory place_;
  std::string built_;  // the unit, with the program that was built
};

TEST_F(SystemdUnitTest, IsGoodForSystemd) { EXPECT_EQ(VerdictOn(place_, built_), ""); }

TEST_F(SystemdUnitTest, MistakesInItWouldBeSeen) {
  const std::string wrong = std::regex_replace(built_, std::regex("\nRestart="), "\nRestrat=");
  EXPECT_THAT(VerdictOn(place_, wrong), HasSubstr("Restrat"));
  const std::string gone =
      std::regex_replace(built_, std::regex("\nExecStart=[^ ]+"), "\nExecStart=/nowhere/kiln");
  EXPECT_THAT(VerdictOn(place_, gone), HasSubstr("/nowhere/kiln"));
}

}  // namespace
}  // namespace kiln
