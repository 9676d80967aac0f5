#include "kernel_host/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>

#include "ops/workload.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kPlaces = 64;
const StepCosts kCosts{.empty = {20'000, 10'000}, .bytes_per_ns = 8};

Workload Small() {
  Workload workload;
  workload.op = OpKind::kDense;
  workload.c = 64;
  workload.o = 64;
  return workload;
}

// A kernel on a machine: what its steps take.
struct Kernel {
  double repeated_ns, fresh_ns;
  // Beyond what the kernel computes, of which nothing is its own.
  double wait_ns = 0;

  static StepTime Step(double work_ns, double wait_ns) {
    return {kCosts.empty.wall_ns + work_ns + wait_ns, kCosts.empty.processor_ns + work_ns};
  }
  // False once it has been refused. `steps`: how many that took.
  bool Passes(Audit& audit, int& steps) const {
    for (steps = 0; steps < 80 && !(audit.repeated_holds() && audit.fresh_holds());) {
      if (!audit.repeated_holds()) {
        const std::uint32_t calls = audit.repeated_calls();
        audit.AddRepeated(calls, Step(repeated_ns * calls, wait_ns));
        ++steps;
      }
      if (!audit.fresh_holds()) {
        const std::uint32_t calls = audit.fresh_calls();
        EXPECT_LE(calls, kPlaces);
        audit.AddFresh(calls, Step(fresh_ns * calls, wait_ns));
        ++steps;
      }
    }
    return audit.repeated_holds() && audit.fresh_holds();
  }
};

bool Passes(const Kernel& kernel, double claimed_ns, int* steps = nullptr) {
  Audit audit(claimed_ns, Small(), kPlaces, kCosts);
  int count = 0;
  const bool passes = kernel.Passes(audit, count);
  if (steps) *steps = count;
  return passes;
}

TEST(AuditTest, TwoStepsAreEnoughForAnHonestKernelOnAQuietMachine) {
  int steps = 0;
  EXPECT_TRUE(Passes({.repeated_ns = 10'000, .fresh_ns = 11'000}, 10'000, &steps));
  EXPECT_EQ(steps, 2);
  EXPECT_TRUE(Passes({.repeated_ns = 2e6, .fresh_ns = 2.2e6}, 2e6, &steps));
  EXPECT_EQ(steps, 2);
}

TEST(AuditTest, ShortKernelIsCalledOftenEnoughToKnow) {
  int steps = 0;
  EXPECT_TRUE(Passes({.repeated_ns = 50, .fresh_ns = 60}, 50, &steps));
  EXPECT_EQ(steps, 3) << "first it is to be seen that it does not take too long";
  EXPECT_FALSE(Passes({.repeated_ns = 100, .fresh_ns = 100}, 50));
}

TEST(AuditTest, LiarIsRefusedInFewCalls) {
  Audit audit(0.25, Small(), kPlaces, kCosts);
  std::uint32_t most = 0;
  for (int round = 0; round < 40; ++round) {
    most = std::max(most, audit.repeated_calls());
    audit.AddRepeated(audit.repeated_calls(), Kernel::Step(1e5 * audit.repeated_calls(), 0));
    audit.AddFresh(audit.fresh_calls(), Kernel::Step(1e5 * audit.fresh_calls(), 0));
  }
  EXPECT_FALSE(audit.repeated_holds());
  EXPECT_FALSE(audit.fresh_holds());
  EXPECT_LE(most, 16u) << "of a tenth of a millisecond each";
  EXPECT_EQ(audit.Objection(),
            "its process measured 0.25 ns a call, the clock outside of it 1e+05 ns");
}

TEST(AuditTest, KernelThatSkipsWhatItDidBeforeIsRefused) {
  Audit audit(100, Small(), kPlaces, kCosts);
  int steps = 0;
  const Kernel kernel{.repeated_ns = 100, .fresh_ns = 2000};
  EXPECT_FALSE(kernel.Passes(audit, steps));
  EXPECT_THAT(audit.Objection(),
              HasSubstr("repeated calls took 100 ns, calls with new inputs 2000"));
}

// The account of the system, which lacks all of a step now and then.
TEST(AuditTest, OtherWorkDisturbsNoHonestKernelAndOneGapHelpsNoLiar) {
  int steps = 0;
  EXPECT_TRUE(Passes({.repeated_ns = 1e5, .fresh_ns = 1.1e5, .wait_ns = 4e6}, 1e5, &steps));
  EXPECT_EQ(steps, 6) << "three of each kind";
  Audit audit(1e5, Small(), kPlaces, kCosts);
  for (int gap = 0; gap < 2; ++gap) audit.AddRepeated(1, {4e6, 0});
  for (int round = 0; round < 40; ++round) audit.AddRepeated(1, Kernel::Step(2e5, 0));
  EXPECT_FALSE(audit.repeated_holds());
}

// A step in which the caches are empty: longer ones are tried.
TEST(AuditTest, ColdCachesAreNoReasonToRefuse) {
  Audit audit(1e5, Small(), kPlaces, kCosts);
  int steps = 0;
  for (; steps < 40 && !audit.repeated_holds(); ++steps) {
    const std::uint32_t calls = audit.repeated_calls();
    audit.AddRepeated(calls, Kernel::Step(1e5 * calls + 60'000, 4e6));
  }
  EXPECT_TRUE(audit.repeated_holds()) << "on a busy machine, too";
  EXPECT_LT(steps, 16);
}

TEST(AuditTest, WhatALieCanGainIsBounded) {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const double ns = std::exp2(std::uniform_real_distribution(8.0, 24.0)(random));
    const double claimed = ns * std::uniform_real_distribution(0.02, 1.2)(random);
    const Kernel kernel{.repeated_ns = ns, .fresh_ns = ns};
    const bool passes = Passes(kernel, claimed);
    if (claimed >= ns) {
      EXPECT_TRUE(passes) << ns << " claimed " << claimed << ", seed 7";
    }
    // A quarter; 10 us in 50 of a step; a third of a fetch in each three of them.
    if (claimed < ns / (1.25 + 0.2 + 1 / 3.0)) {
      EXPECT_FALSE(passes) << ns << " claimed " << claimed << ", seed 7";
    }
  }
}

}  // namespace
}  // namespace kiln
