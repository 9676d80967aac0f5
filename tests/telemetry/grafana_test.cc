// The Grafana dashboard that is installed asks for what our programs export, and for all of it.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "telemetry/metric_catalogue.h"
#include "tests/base/temporary_directory.h"
#include "tests/telemetry/rule_check.h"

namespace kiln {
namespace {

using nlohmann::json;

class GrafanaTest : public testing::Test {
 protected:
  GrafanaTest() : board_(json::parse(BytesOf(KILN_SOURCE_DIR "/telemetry/grafana/kiln.json"))) {}

  // Panels that show something; rows do not.
  std::vector<json> Panels() const {
    std::vector<json> panels;
    for (const json& panel : board_.at("panels")) {
      if (panel.at("type") != "row") panels.push_back(panel);
    }
    return panels;
  }

  const json board_;
};

TEST_F(GrafanaTest, AsksForWhatThereIs) {
  for (const json& panel : Panels()) {
    const std::string title = panel.at("title");
    ASSERT_FALSE(panel.at("targets").empty()) << title;
    for (const json& target : panel.at("targets")) {
      AlertRule rule{title, target.at("expr"), {}};
      // Variables stand for any value.
      rule.expression = std::regex_replace(rule.expression, std::regex(R"(\$target)"), ".*");
      const std::string legend = target.at("legendFormat");
      const std::regex label(R"(\{\{(\w+)\}\})");
      for (std::sregex_iterator it(legend.begin(), legend.end(), label), end; it != end; ++it) {
        rule.named_labels.push_back((*it)[1]);
      }
      const Status status = CheckRule(rule);
      EXPECT_TRUE(status.ok()) << title << ": " << status;
    }
  }
}

TEST_F(GrafanaTest, ShowsEveryMetric) {
  const std::string all = board_.dump();
  for (const MetricFamily& family : MetricCatalogue()) {
    EXPECT_NE(all.find(family.name), std::string::npos) << family.name;
  }
}

TEST_F(GrafanaTest, PanelsHaveNumbersOfTheirOwnAndDoNotOverlap) {
  std::set<int> ids;
  std::set<std::pair<int, int>> cells;
  for (const json& panel : board_.at("panels")) {
    EXPECT_TRUE(ids.insert(panel.at("id").get<int>()).second) << panel.at("title");
    const json& place = panel.at("gridPos");
    EXPECT_LE(place.at("x").get<int>() + place.at("w").get<int>(), 24) << panel.at("title");
    for (int x = 0; x < place.at("w"); ++x) {
      for (int y = 0; y < place.at("h"); ++y) {
        EXPECT_TRUE(
            cells.emplace(place.at("x").get<int>() + x, place.at("y").get<int>() + y).second)
            << panel.at("title");
      }
    }
  }
}

}  // namespace
}  // namespace kiln
