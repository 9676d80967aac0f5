#include "telemetry/metric_catalogue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

namespace kiln {
namespace {

TEST(MetricCatalogue, IsInTheOrderOfItsEnum) {
  for (std::size_t i = 0; i < MetricCatalogue().size(); ++i) {
    EXPECT_EQ(MetricCatalogue()[i].metric, static_cast<Metric>(i)) << MetricCatalogue()[i].name;
    EXPECT_EQ(&FamilyOf(static_cast<Metric>(i)), &MetricCatalogue()[i]);
  }
  EXPECT_EQ(MetricCatalogue().back().metric, Metric::kDeviceFrequency) << "add the new one here";
}

TEST(MetricCatalogue, NamesAreUniqueAndSayTheirUnit) {
  std::set<std::string> names;
  for (const MetricFamily& family : MetricCatalogue()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_EQ(FindMetric(family.name), &family);
    EXPECT_TRUE(std::regex_match(family.name, std::regex("kiln_[a-z]+(_[a-z]+)*"))) << family.name;
    EXPECT_EQ(family.name.ends_with("_total"), family.type == MetricType::kCounter) << family.name;
    EXPECT_FALSE(std::regex_search(family.name, std::regex("_(ms|ns|us|mb|kb|percent)(_|$)")));
    if (family.type == MetricType::kHistogram) {
      EXPECT_TRUE(family.name.ends_with("_seconds")) << family.name;
      EXPECT_FALSE(family.buckets.empty());
      EXPECT_TRUE(std::is_sorted(family.buckets.begin(), family.buckets.end()));
    }
    EXPECT_TRUE(family.help.ends_with(".") && family.help.find('\n') == std::string::npos);
    EXPECT_FALSE(family.sources.empty()) << family.name;
  }
  EXPECT_EQ(FindMetric("kiln_nothing"), nullptr);
}

// Of those there are as many as somebody likes.
TEST(MetricCatalogue, OnlyDevicesTargetsAndWindowsAreLabelsWithoutAListOfValues) {
  for (const MetricFamily& family : MetricCatalogue()) {
    for (const MetricLabel& label : family.labels) {
      const bool open = label.name == "device" || label.name == "target" ||
                        label.name == "window" || family.metric == Metric::kBuildInfo;
      EXPECT_EQ(label.values.empty(), open) << family.name << " " << label.name;
    }
  }
}

}  // namespace
}  // namespace kiln
