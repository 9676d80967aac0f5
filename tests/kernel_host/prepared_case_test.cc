#include "kernel_host/prepared_case.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ops/trial_limits.h"

namespace kiln {
namespace {

Workload SmallDense() {
  Workload workload;
  workload.op = OpKind::kDense;
  workload.c = 3;
  workload.o = 2;
  return workload;
}

OpCase SmallCase() {
  OpCase op_case;
  op_case.values.w = {1, 2, 3, 4, 5, 6};
  op_case.values.multiplier = {7, 8};
  op_case.values.shift = {-1, -2};
  op_case.values.x_zp = 9;
  op_case.x = {10, 11, 12};
  return op_case;
}

HostCase Explicit(const OpCase& op_case) {
  HostCase host_case;
  host_case.source = HostCase::Source::kExplicit;
  host_case.explicit_case = Serialize(op_case);
  return host_case;
}

TEST(PreparedCaseTest, GivesTheSameValuesInBothPlacements) {
  std::string error;
  const auto prepared = PreparedCase::Create(SmallDense(), SmallCase(), error);
  ASSERT_NE(prepared, nullptr) << error;
  for (const Placement placement : {Placement::kLow, Placement::kHigh}) {
    const kiln_op op = prepared->op(placement);
    EXPECT_EQ(std::memcmp(op.w, "\1\2\3\4\5\6", 6), 0);
    EXPECT_EQ(op.mult[1], 8);
    EXPECT_EQ(op.shift[0], -1);
    EXPECT_EQ(op.bias, nullptr);
    EXPECT_EQ(op.scale, nullptr);
    EXPECT_EQ(op.x_zp, 9);
    EXPECT_EQ(prepared->x(placement)[2], 12);
  }
  EXPECT_NE(prepared->x(Placement::kLow), prepared->x(Placement::kHigh));
}

TEST(PreparedCaseTest, ArraysOfAnotherSizeAreRefused) {
  std::string error;
  OpCase op_case = SmallCase();
  op_case.values.bias = {1};
  EXPECT_EQ(PreparedCase::Create(SmallDense(), op_case, error), nullptr);
  EXPECT_EQ(error, "the case's bias does not have the size that the workload says");
  op_case = SmallCase();
  op_case.values.scale = {1, 2};
  EXPECT_EQ(PreparedCase::Create(SmallDense(), op_case, error), nullptr);
}

TEST(CaseCacheTest, SameCaseIsPreparedOnce) {
  CaseCache cache;
  std::string error;
  const HostCase host_case = Explicit(SmallCase());
  const auto first = cache.Get(SmallDense(), host_case, error);
  ASSERT_NE(first, nullptr) << error;
  EXPECT_EQ(cache.Get(SmallDense(), host_case, error), first);
}

// All that one trial may have, trial after trial.
TEST(CaseCacheTest, CasesOfATrialAreKeptForTheNext) {
  CaseCache cache;
  std::string error;
  OpCase op_case = SmallCase();
  std::vector<std::shared_ptr<const PreparedCase>> first;
  for (int trial = 0; trial < 2; ++trial) {
    cache.LeaveRoom(100);
    for (std::uint8_t i = 0; i < kMaxCases; ++i) {
      op_case.x[0] = i;
      const auto prepared = cache.Get(SmallDense(), Explicit(op_case), error);
      if (trial == 0) first.push_back(prepared);
      EXPECT_EQ(prepared, first[i]) << int{i};
    }
  }
}

TEST(CaseCacheTest, NothingIsKeptWhereOthersNeedAll) {
  CaseCache cache;
  std::string error;
  const HostCase host_case = Explicit(SmallCase());
  const auto first = cache.Get(SmallDense(), host_case, error);
  cache.LeaveRoom(kMaxDataBytes);
  EXPECT_NE(cache.Get(SmallDense(), host_case, error), first);
}

TEST(CaseCacheTest, OtherValuesAreAnotherCase) {
  CaseCache cache;
  std::string error;
  const auto first = cache.Get(SmallDense(), Explicit(SmallCase()), error);
  OpCase other = SmallCase();
  other.x[0] = 0;
  EXPECT_NE(cache.Get(SmallDense(), Explicit(other), error), first);
}

TEST(CaseCacheTest, CaseInUseOutlivesItsEviction) {
  CaseCache cache;
  std::string error;
  OpCase op_case = SmallCase();
  const auto first = cache.Get(SmallDense(), Explicit(op_case), error);
  for (std::uint8_t i = 50; i < 80; ++i) {
    op_case.x[0] = i;
    ASSERT_NE(cache.Get(SmallDense(), Explicit(op_case), error), nullptr);
  }
  EXPECT_EQ(first->x(Placement::kHigh)[0], 10);
  EXPECT_NE(cache.Get(SmallDense(), Explicit(SmallCase()), error), first);
}

}  // namespace
}  // namespace kiln
