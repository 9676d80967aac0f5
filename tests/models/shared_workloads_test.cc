#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/model.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

constexpr char kDense[] = "dense/i8/n1c64/o10/pc/wz0/act=none/rq=gen/double";
constexpr char kWide[] = "dense/i8/n1c64/o100/pc/wz0/act=none/rq=gen/double";

Network Of(const std::vector<std::string>& keys) {
  Network network;
  for (const std::string& key : keys) {
    const auto workload = ParseWorkload(key);
    EXPECT_TRUE(workload.ok()) << workload.status();
    if (workload.ok()) network.layers.push_back({.name = key, .workload = *workload});
  }
  return network;
}

TEST(SharedWorkloadsTest, WhatNetworksShareIsThereOnceAndCountsForAll) {
  const std::vector<WeightedNetwork> networks = {{Of({kDense, kWide, kDense}), 1},
                                                 {Of({kWide, kWide, kWide}), 0.5}};
  const std::vector<SharedWorkload> shared = SharedWorkloads(networks);
  ASSERT_EQ(shared.size(), 2u);
  EXPECT_EQ(Key(shared[0].workload), kDense);
  EXPECT_EQ(shared[0].weight, 2);
  ASSERT_EQ(shared[0].uses.size(), 1u);
  EXPECT_EQ(shared[0].uses[0].count, 2);
  EXPECT_EQ(Key(shared[1].workload), kWide);
  EXPECT_EQ(shared[1].weight, 1 + 0.5 * 3);
  ASSERT_EQ(shared[1].uses.size(), 2u);
  EXPECT_EQ(shared[1].uses[1].network, 1u);
  EXPECT_EQ(shared[1].uses[1].count, 3);
}

TEST(SharedWorkloadsTest, OneNetworkIsItsUniqueWorkloads) {
  const Network network = Of({kWide, kDense, kWide});
  const auto unique = UniqueWorkloads(network);
  const std::vector<WeightedNetwork> networks = {{network}};
  const auto shared = SharedWorkloads(networks);
  ASSERT_EQ(shared.size(), unique.size());
  for (std::size_t i = 0; i < unique.size(); ++i) {
    EXPECT_EQ(shared[i].workload, unique[i].workload);
    EXPECT_EQ(shared[i].weight, unique[i].count);
  }
}

}  // namespace
}  // namespace kiln
