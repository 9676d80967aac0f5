#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <future>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "host_process.h"
#include "process_memory.h"
#include "test_kernels.h"

// Timing by the real kiln-host. Nothing here asserts a time; benchmark_host_trial prints some.

namespace kiln {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
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
    const HostReply reply = host_.Ask(request);
    ASSERT_EQ(Summary(reply), "ok") << threads << " threads on one core";
    EXPECT_EQ(std::get<Timings>(reply.outcome).samples_ns.size(), 10u);
    EXPECT_GT(std::get<Timings>(reply.outcome).min_ns(), 0);
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

// Each is right in whatever is compared with the expected digests.
TEST_F(MeasuringTest, KernelThatDoesNotDoItsWorkEveryTimeIsFoundOut) {
  struct Trick {
    std::string kernel;
    testing::Matcher<std::string> words;
  };
  const auto no_work = HasSubstr("it does not do its work every time");
  const std::string unseen = "wrong on inputs that it had not seen before: output ";
  for (const auto& [kernel, words] : std::vector<Trick>{
           {"skips_done", no_work},
           {"remembers", no_work},
           // It works in every seventh call: whether in one of a step is chance.
           {"idle_when_known", AnyOf(no_work, HasSubstr("right at first, wrong after "))},
           {"stale_output", HasSubstr(unseen)}}) {
    EXPECT_THAT(Summary(host_.Ask(TimedRequest(kernel))),
                AllOf(StartsWith("WRONG_RESULT verify: "), words))
        << kernel;
  }
  EXPECT_THAT(Summary(host_.Ask(NaiveRequest("stale_output"))), HasSubstr(unseen))
      << "also where nothing is timed";
}

TEST_F(MeasuringTest, KernelThatForgesItsTimesIsFoundOut) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "SKIPPED: the forging kernel asks the system of x86 for what it may read";
#endif
  EXPECT_THAT(Summary(host_.Ask(TimedRequest("forges_samples"))),
              StartsWith("WRONG_RESULT verify: its process measured 0.25 ns a call, the clock "
                         "outside of it "));
}

// As when a virtual machine is suspended, or a container frozen.
TEST_F(MeasuringTest, TimeInWhichAllIsStoppedDoesNotCountAgainstTheTimeOut) {
  HostRequest request = TimedRequest("good");
  request.plan.samples = 100;
  request.plan.sample_ns = 5'000'000;
  request.plan.time_out_ns = 3'000'000'000;
  auto reply = std::async(std::launch::async, [&] { return host_.Ask(request); });
  const int zygote = ChildOf(host_.pid()), runner = BusyChildOf(zygote);
  ASSERT_GT(runner, 0);
  const int all[] = {host_.pid(), zygote, runner};
  for (const int pid : all) ASSERT_EQ(kill(pid, SIGSTOP), 0);
  std::this_thread::sleep_for(std::chrono::nanoseconds(request.plan.time_out_ns));
  for (const int pid : all) ASSERT_EQ(kill(pid, SIGCONT), 0);
  EXPECT_EQ(Summary(reply.get()), "ok");
}

// No runner ever holds what must come out, or what the data are made from.
TEST_F(MeasuringTest, ExpectedDigestsAndSeedsAreNotInTheRunnersMemory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "SKIPPED: the address sanitizer gives every process terabytes to look through";
#endif
  HostRequest request = TimedRequest("endless");
  request.plan.time_out_ns = 600'000'000'000;
  const std::uint64_t secret = 0x6b35c1f2d94e8a07;
  for (HostCase& host_case : request.cases) host_case.expected_digest = secret;
  request.cases[0].source = HostCase::Source::kRecipe;
  request.cases[0].seed = secret;
  const std::string needle(reinterpret_cast<const char*>(&secret), sizeof secret);
  // The one before has left them in the supervisor's memory, if anywhere.
  HostRequest before = TimedRequest("good");
  before.cases[0].expected_digest = secret;
  host_.Ask(before);
  host_.Send(Serialize(request));
  const int zygote = ChildOf(host_.pid()), runner = BusyChildOf(zygote);
  ASSERT_GT(runner, 0);
  EXPECT_TRUE(HoldsInMemory(host_.pid(), needle)) << "this test does not see what it looks for";
  EXPECT_FALSE(HoldsInMemory(runner, needle));
  EXPECT_FALSE(HoldsInMemory(zygote, needle));
}

}  // namespace
}  // namespace kiln
