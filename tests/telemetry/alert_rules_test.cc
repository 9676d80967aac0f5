// The alert rules that are installed name metrics, labels and values that our programs have.

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/paths.h"
#include "tests/telemetry/rule_check.h"

namespace kiln {
namespace {

using testing::HasSubstr;

const std::string kRules = KILN_SOURCE_DIR "/telemetry/alerts/kiln.rules.yml";

std::string WrongWith(const std::string& expression, const std::string& label = "") {
  AlertRule rule{"Rule", expression, {}};
  if (!label.empty()) rule.named_labels.push_back(label);
  return Message(CheckRule(rule));
}

bool HasPromtool() { return std::system("promtool --version >/dev/null 2>&1") == 0; }

TEST(AlertRules, NameWhatThereIs) {
  const auto rules = ReadRules(kRules);
  ASSERT_TRUE(rules.ok()) << rules.status();
  EXPECT_GE(rules->size(), 10U);
  for (const AlertRule& rule : *rules) {
    const Status status = CheckRule(rule);
    EXPECT_TRUE(status.ok()) << status;
  }
}

// The check itself can fail.
TEST(AlertRules, AreFoundWrongIfTheyName) {
  EXPECT_EQ(WrongWith("kiln_devices{state=\"lost\"} > 0"), "");
  EXPECT_EQ(WrongWith("rate(kiln_lease_wait_seconds_bucket[5m]) > 0"), "");
  EXPECT_THAT(WrongWith("kiln_device > 0"), HasSubstr("there is no kiln_device"));
  EXPECT_THAT(WrongWith("kiln_lease_wait_seconds > 0"), HasSubstr("there is no"));
  EXPECT_THAT(WrongWith("kiln_devices_count > 0"), HasSubstr("there is no"));
  EXPECT_THAT(WrongWith("kiln_devices{colour=\"red\"} > 0"), HasSubstr("has no label colour"));
  EXPECT_THAT(WrongWith("kiln_devices{state=\"red\"} > 0"), HasSubstr("has no state red"));
  EXPECT_THAT(WrongWith("kiln_devices{state=~\"lost|red\"} > 0"), HasSubstr("has no state red"));
  EXPECT_THAT(WrongWith("sum by (window) (kiln_devices) > 0"), HasSubstr("a label window"));
  EXPECT_THAT(WrongWith("kiln_devices > 0", "device"), HasSubstr("a label device"));
  EXPECT_THAT(WrongWith("up == 0"), HasSubstr("names no metric"));
}

TEST(AlertRules, SatisfyPrometheus) {
  if (!HasPromtool()) GTEST_SKIP() << "promtool is not installed (Debian: apt install prometheus)";
  EXPECT_EQ(std::system(("promtool check rules " + kRules + " >&2").c_str()), 0);
}

TEST(AlertRules, ComeWhenTheyShould) {
  if (!HasPromtool()) GTEST_SKIP() << "promtool is not installed (Debian: apt install prometheus)";
  EXPECT_EQ(
      std::system("promtool test rules " KILN_SOURCE_DIR "/tests/telemetry/alerts_test.yml >&2"),
      0);
}

TEST(AlertRules, AreFoundBesideThePrograms) {
  const auto file = FindData("alerts");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(ReadRules(*file + "/kiln.rules.yml").ok());
}

}  // namespace
}  // namespace kiln
