#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <variant>
#include <vector>

#include "host_process.h"
#include "test_kernels.h"

// Timing by the real kiln-host. Nothing here asserts a time: the last tests print some.

namespace kiln {
namespace {

using testing::StartsWith;

class MeasuringTest : public testing::Test {
 protected:
  void SetUp() override { SKIP_WITHOUT_TEST_KERNELS(); }

  static HostRequest TimedRequest(const std::string& kernel) {
    HostRequest request = NaiveRequest(kernel);
    request.plan.time = true;
    return request;
  }

  HostProcess host_;
};

TEST_F(MeasuringTest, TakesThePlannedSamples) {
  HostRequest request = TimedRequest("good");
  request.plan.samples = 13;
  const HostReply reply = host_.Ask(request);
  ASSERT_EQ(Summary(reply), "ok");
  const auto& timings = std::get<Timings>(reply.outcome);
  EXPECT_EQ(timings.samples_ns.size(), 13u);
  EXPECT_GT(timings.min_ns(), 0);
  EXPECT_GE(timings.calls_per_sample, 1);
}

TEST_F(MeasuringTest, SlowerKernelMeasuresSlower) {
  const HostReply good = host_.Ask(TimedRequest("good"));
  const HostReply slow = host_.Ask(TimedRequest("slow"));
  ASSERT_EQ(Summary(good), "ok");
  ASSERT_EQ(Summary(slow), "ok");
  EXPECT_LT(std::get<Timings>(good.outcome).min_ns(), std::get<Timings>(slow.outcome).min_ns());
}

TEST_F(MeasuringTest, ThreadsAreTimedToo) {
  for (const int threads : {2, 4}) {
    HostRequest request = TimedRequest("good");
    request.plan.threads = threads;
    request.cores = {0};
    EXPECT_EQ(Summary(host_.Ask(request)), "ok") << threads << " threads on one core";
  }
}

TEST_F(MeasuringTest, CutOffCensorsAfterThreeSamples) {
  HostRequest request = TimedRequest("slow");
  request.plan.cut_off_ns = 1;
  const HostReply reply = host_.Ask(request);
  ASSERT_EQ(Summary(reply), "censored");
  const auto& censored = std::get<Censored>(reply.outcome);
  EXPECT_EQ(censored.partial.samples_ns.size(), 3u);
  EXPECT_EQ(censored.bound_ns, censored.partial.min_ns());
}

TEST_F(MeasuringTest, ColdSamplesAreSingleCalls) {
  HostRequest request = TimedRequest("good");
  request.plan.cache = CacheState::kCold;
  const HostReply reply = host_.Ask(request);
  ASSERT_EQ(Summary(reply), "ok");
  EXPECT_EQ(std::get<Timings>(reply.outcome).calls_per_sample, 1);
  EXPECT_EQ(std::get<Timings>(reply.outcome).samples_ns.size(), 10u);
}

// Both are right in the first 1000 calls.
TEST_F(MeasuringTest, KernelThatGoesWrongLaterIsFoundOut) {
  for (const char* kernel : {"wrong_late", "idle_late"}) {
    for (const int threads : {1, 2}) {
      HostRequest request = TimedRequest(kernel);
      request.plan.threads = threads;
      request.plan.samples = 1500;
      EXPECT_THAT(Summary(host_.Ask(request)),
                  StartsWith("WRONG_RESULT verify: right at first, wrong after "))
          << kernel;
      request.plan.time = false;
      EXPECT_EQ(Summary(host_.Ask(request)), "ok") << kernel << " is only wrong when called often";
    }
  }
}

double Milliseconds(HostProcess& host, const HostRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  host.Ask(request);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

template <typename Sample>
double Median(int count, const Sample& sample) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(sample());
  std::nth_element(values.begin(), values.begin() + count / 2, values.end());
  return values[static_cast<std::size_t>(count / 2)];
}

TEST_F(MeasuringTest, PrintsTheCostOfATrial) {
  const HostRequest verified = NaiveRequest("good"), timed = TimedRequest("good");
  const HostRequest crashing = NaiveRequest("null_write");
  HostRequest threaded = TimedRequest("good");
  threaded.plan.threads = 2;
  Milliseconds(host_, verified);
  std::printf("verify only: %.2f ms\n", Median(100, [&] { return Milliseconds(host_, verified); }));
  std::printf("timed (10 x 20 us, 200 us warm-up): %.2f ms, on 2 threads: %.2f ms\n",
              Median(100, [&] { return Milliseconds(host_, timed); }),
              Median(100, [&] { return Milliseconds(host_, threaded); }));
  std::printf("crash: %.2f ms, the trial after it: %.2f ms\n",
              Median(50, [&] { return Milliseconds(host_, crashing); }), Median(50, [&] {
                Milliseconds(host_, crashing);
                return Milliseconds(host_, verified);
              }));
  EXPECT_EQ(Summary(host_.Ask(verified)), "ok");
}

}  // namespace
}  // namespace kiln
