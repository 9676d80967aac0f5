#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "models/model.h"
#include "ops/workload.h"
#include "shared_folder.h"

namespace kiln {
namespace {

using ::testing::HasSubstr;

std::int64_t TotalMacs(const Network& network) {
  return std::accumulate(
      network.layers.begin(), network.layers.end(), std::int64_t{0},
      [](std::int64_t sum, const Layer& layer) { return sum + layer.workload.macs(); });
}

std::map<std::string, int> Counts(const Network& network) {
  std::map<std::string, int> counts;
  for (const WeightedWorkload& unique : UniqueWorkloads(network)) {
    counts[Key(unique.workload)] = unique.count;
  }
  return counts;
}

struct Expected {
  const char* name;
  const char* table;
  std::size_t layers;
  std::int64_t macs;
};
constexpr Expected kExpected[] = {
    {"mobilenet_v1", "mobilenet_v1_1.0_224", 28, 568'740'352},
    {"mobilenet_v2", "mobilenet_v2_1.0_224", 53, 300'774'272},
    {"resnet18", "resnet18_224", 21, 1'814'073'344},
    {"inception_v1", "inception_v1_224", 58, 1'498'376'192},
    {"inception_v3", "inception_v3_299", 95, 5'713'216'096},
};

TEST(BuiltinNetworksTest, HaveTheLayersAndTheWorkOfTheirPapers) {
  for (const Expected& expected : kExpected) {
    const StatusOr<Network> network = BuiltinNetwork(expected.name);
    ASSERT_TRUE(network.ok()) << network.status();
    EXPECT_EQ(network->name, expected.name);
    EXPECT_EQ(network->layers.size(), expected.layers) << expected.name;
    EXPECT_EQ(TotalMacs(*network), expected.macs) << expected.name;
  }
}

TEST(BuiltinNetworksTest, EqualTheWorkloadTables) {
  for (const Expected& expected : kExpected) {
    const std::string table = "workloads/" + std::string(expected.table) + ".csv";
    const StatusOr<Network> wanted = ReadLayersCsv(DataPath(table).string());
    ASSERT_TRUE(wanted.ok()) << wanted.status();
    const StatusOr<Network> network = BuiltinNetwork(expected.name);
    ASSERT_TRUE(network.ok()) << network.status();
    EXPECT_EQ(Counts(*network), Counts(*wanted)) << expected.name;
  }
}

TEST(BuiltinNetworksTest, NameEachLayerOnce) {
  for (const std::string& name : BuiltinNetworkNames()) {
    std::set<std::string> names;
    const StatusOr<Network> network = BuiltinNetwork(name);
    ASSERT_TRUE(network.ok()) << network.status();
    for (const Layer& layer : network->layers) {
      EXPECT_TRUE(names.insert(layer.name).second) << name << " has two layers " << layer.name;
    }
  }
}

TEST(BuiltinNetworksTest, HaveTheClassesOfQuantizedNetworks) {
  const StatusOr<Network> network = BuiltinNetwork("mobilenet_v2");
  ASSERT_TRUE(network.ok());
  EXPECT_EQ(Key(network->layers[1].workload),
            "depthwise/i8/n1h112w112c32/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=step1/double");
  EXPECT_EQ(
      Key(network->layers[2].workload),
      "conv2d/i8/n1h112w112c32/o16/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=none/rq=signed1/double");
  EXPECT_EQ(Key(network->layers.back().workload),
            "dense/i8/n1c1280/o1000/pc/wz0/act=none/rq=signed1/double");
}

TEST(BuiltinNetworksTest, UnknownNameListsTheKnownOnes) {
  const StatusOr<Network> network = BuiltinNetwork("mobilenet_v4");
  EXPECT_EQ(network.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(network.status()), HasSubstr("mobilenet_v4"));
  for (const std::string& name : BuiltinNetworkNames()) {
    EXPECT_THAT(Message(network.status()), HasSubstr(name));
  }
}

TEST(UniqueWorkloadsTest, CountsEqualWorkloadsInOrderOfFirstUse) {
  Network network;
  Workload a, b;
  b.c = 2;
  network.layers = {{.name = "first", .workload = a, .values = {}},
                    {.name = "second", .workload = b, .values = {}},
                    {.name = "third", .workload = a, .values = {}}};
  const std::vector<WeightedWorkload> unique = UniqueWorkloads(network);
  ASSERT_EQ(unique.size(), 2U);
  EXPECT_EQ(unique[0].workload, a);
  EXPECT_EQ(unique[0].count, 2);
  EXPECT_THAT(unique[0].layers, ::testing::ElementsAre("first", "third"));
  EXPECT_EQ(unique[1].workload, b);
  EXPECT_EQ(unique[1].count, 1);
}

}  // namespace
}  // namespace kiln
