#include "kernel_host/sampler.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace kiln {
namespace {

// A kernel whose calls take as long as it is told, on a clock of its own.
class FakeCalls final : public TimedCalls {
 public:
  explicit FakeCalls(double call_ns) : call_ns_(call_ns) {}
  std::int64_t Run(std::int64_t calls) override {
    calls_ += calls;
    cold_ += std::exchange(evicted_, false) ? 1 : 0;
    const auto ns = static_cast<std::int64_t>(call_ns_ * static_cast<double>(calls));
    elapsed_ns_ += ns;
    call_ns_ *= growth_;
    return ns;
  }
  void EvictCaches() override {
    ++evictions_;
    evicted_ = true;
  }

  double call_ns_, growth_ = 1;
  std::int64_t calls_ = 0, elapsed_ns_ = 0;
  int evictions_ = 0, cold_ = 0;  // cold_: runs right after one

 private:
  bool evicted_ = false;
};

struct Sampled {
  explicit Sampled(const MeasurePlan& plan, FakeCalls& kernel) {
    TakeSamples(plan, kernel, *record);
  }
  const SampleRecord* operator->() const { return record.get(); }
  std::unique_ptr<SampleRecord> record = std::make_unique<SampleRecord>();
};

TEST(SamplerTest, SampleLastsAsLongAsPlanned) {
  FakeCalls kernel(300);
  const Sampled sampled(MeasurePlan{}, kernel);
  EXPECT_EQ(sampled->samples, 10);
  EXPECT_EQ(sampled->calls_per_sample, 67);  // the first multiple of 300 ns over 20 us
  EXPECT_DOUBLE_EQ(sampled->samples_ns[0], 300);
}

TEST(SamplerTest, LongCallsAreSampledOneByOne) {
  FakeCalls kernel(1e6);
  const Sampled sampled(MeasurePlan{}, kernel);
  EXPECT_EQ(sampled->calls_per_sample, 1);
  EXPECT_EQ(kernel.calls_, 11);  // one to warm up
}

TEST(SamplerTest, WarmUpLastsAsLongAsPlanned) {
  FakeCalls kernel(100);
  MeasurePlan plan;
  plan.warm_up_ns = 3'000'000;
  const Sampled sampled(plan, kernel);
  EXPECT_GE(kernel.elapsed_ns_, 3'000'000 + 10 * 20'000);
  EXPECT_EQ(sampled->calls, kernel.calls_);
}

TEST(SamplerTest, WithoutWarmUpOneCallCalibrates) {
  FakeCalls kernel(50'000);
  MeasurePlan plan;
  plan.warm_up_ns = 0;
  const Sampled sampled(plan, kernel);
  EXPECT_EQ(kernel.calls_, 11);
}

TEST(SamplerTest, CallsTooShortForTheClockAreTimedInBatches) {
  FakeCalls kernel(0.01);
  const Sampled sampled(MeasurePlan{}, kernel);
  EXPECT_EQ(sampled->samples, 10);
  EXPECT_GT(sampled->calls_per_sample, 1'000'000);
}

TEST(SamplerTest, CutOffStopsAfterThreeSamples) {
  FakeCalls kernel(30'000);
  MeasurePlan plan;
  plan.cut_off_ns = 29'999;
  const Sampled sampled(plan, kernel);
  EXPECT_TRUE(sampled->censored);
  EXPECT_EQ(sampled->samples, 3);
}

TEST(SamplerTest, MinimumAtTheCutOffIsNotCensored) {
  FakeCalls kernel(30'000);
  MeasurePlan plan;
  plan.cut_off_ns = 30'000;
  const Sampled sampled(plan, kernel);
  EXPECT_FALSE(sampled->censored);
  EXPECT_EQ(sampled->samples, 10);
}

TEST(SamplerTest, LaterSamplesAreNeverCutOff) {
  FakeCalls kernel(30'000);
  kernel.growth_ = 1.1;
  MeasurePlan plan;
  plan.warm_up_ns = 0;
  plan.cut_off_ns = 34'000;  // over the first sample, under all after it
  const Sampled sampled(plan, kernel);
  EXPECT_FALSE(sampled->censored);
  EXPECT_EQ(sampled->samples, 10);
}

TEST(SamplerTest, ColdCallsFollowAnEvictionEach) {
  FakeCalls kernel(300);
  MeasurePlan plan;
  plan.cache = CacheState::kCold;
  const Sampled sampled(plan, kernel);
  EXPECT_EQ(sampled->calls_per_sample, 1);
  EXPECT_EQ(kernel.evictions_, 10);
  EXPECT_EQ(kernel.cold_, 10);
}

}  // namespace
}  // namespace kiln
