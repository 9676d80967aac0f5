#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include "base/digest.h"
#include "measure/measurer.h"
#include "ops/reference.h"

namespace kiln {
namespace {

Workload SmallConv() {
  Workload workload;
  workload.h = workload.w = 6;
  workload.c = workload.o = 8;
  workload.kh = workload.kw = 3;
  return workload;
}

TEST(ExpectedOutputsTest, DigestsAreThoseOfTheReference) {
  const auto expected = NewExpectedOutputs();
  const std::vector<RunCase> cases = expected->CasesFor(SmallConv());
  ASSERT_EQ(cases.size(), 2U);
  EXPECT_EQ(cases[0].set, DataSet::kUniform);  // the first is timed
  EXPECT_EQ(cases[1].set, DataSet::kEdges);
  for (const RunCase& each : cases) {
    EXPECT_TRUE(each.check);
    const OpCase data = MakeCase(SmallConv(), each.set, each.seed);
    const auto y = RunReference(SmallConv(), data.values, data.x);
    EXPECT_EQ(each.expected_digest, Digest(y.data(), y.size()));
  }
}

TEST(ExpectedOutputsTest, DifferentWorkloadsHaveDifferentOutputs) {
  const auto expected = NewExpectedOutputs();
  Workload other = SmallConv();
  other.o = 16;
  EXPECT_NE(expected->CasesFor(SmallConv())[0].expected_digest,
            expected->CasesFor(other)[0].expected_digest);
}

TEST(ExpectedOutputsTest, ManyThreadsMayAskAtOnce) {
  const auto expected = NewExpectedOutputs();
  std::vector<std::uint64_t> digests(8);
  std::vector<std::thread> threads;
  for (std::uint64_t& digest : digests) {
    threads.emplace_back([&] { digest = expected->CasesFor(SmallConv())[0].expected_digest; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(digests, ::testing::Each(digests.front()));
}

}  // namespace
}  // namespace kiln
