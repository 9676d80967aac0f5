#include "rpc_client/run_codec.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/digest.h"
#include "proto/device.pb.h"

namespace kiln {
namespace {

// A request whose cases have these digests.
RunRequest Asked(const std::vector<std::uint64_t>& digests) {
  RunRequest request;
  for (const std::uint64_t digest : digests) {
    RunCase run_case;
    run_case.expected_digest = digest;
    request.cases.push_back(run_case);
  }
  return request;
}

TEST(RunCodecTest, WritesEverythingThatIsAsked) {
  const Artifact artifact{std::make_shared<std::string>("bytes"), "kiln_1", 1, 2};
  RunRequest request;
  request.artifact = &artifact;
  RunCase recipe;
  recipe.set = DataSet::kEdges;
  recipe.seed = 77;
  recipe.expected_digest = 5;
  RunCase given;
  given.explicit_case = std::make_shared<OpCase>();
  given.check = false;
  given.return_output = true;
  request.cases = {recipe, given};
  request.plan = {.threads = 3,  // nothing in it is the default
                  .cache = CacheState::kCold,
                  .samples = 11,
                  .sample_ns = 12,
                  .warm_up_ns = 13,
                  .cut_off_ns = 9,
                  .time_out_ns = 15,
                  .time = false};
  const v1::MeasureRequest message = WriteRequest(request);
  EXPECT_EQ(message.object_digest(), 2u);
  EXPECT_EQ(message.symbol(), "kiln_1");
  EXPECT_EQ(message.workload(), Key(request.workload));
  ASSERT_EQ(message.cases_size(), 2);
  EXPECT_EQ(message.cases(0).set(), v1::MeasureCase::DATA_SET_EDGES);
  EXPECT_EQ(message.cases(0).seed(), 77u);
  EXPECT_EQ(message.cases(0).recipe_version(), kDataRecipeVersion);
  EXPECT_EQ(message.cases(0).expected_digest(), 5u);
  EXPECT_TRUE(message.cases(0).check());
  EXPECT_EQ(message.cases(1).explicit_case(), Serialize(OpCase()));
  EXPECT_FALSE(message.cases(1).check());
  EXPECT_TRUE(message.cases(1).return_output());
  EXPECT_EQ(message.plan().threads(), 3);
  EXPECT_TRUE(message.plan().cold());
  EXPECT_EQ(message.plan().cut_off_ns(), 9);
  EXPECT_EQ(message.plan().samples(), 11);
  EXPECT_EQ(message.plan().sample_ns(), 12);
  EXPECT_EQ(message.plan().warm_up_ns(), 13);
  EXPECT_EQ(message.plan().time_out_ns(), 15);
  EXPECT_FALSE(message.plan().time());
}

TEST(RunCodecTest, ReadsEachOutcome) {
  v1::MeasureResult message;
  message.mutable_timings()->add_samples_ns(2.5);
  message.mutable_timings()->set_calls_per_sample(4);
  message.add_digests(9);
  message.add_outputs("y");
  auto result = ReadResult(message, Asked({9}));
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(std::get<Timings>(result->outcome).samples_ns, testing::ElementsAre(2.5));
  EXPECT_EQ(std::get<Timings>(result->outcome).calls_per_sample, 4);
  EXPECT_THAT(result->digests, testing::ElementsAre(9u));
  EXPECT_THAT(result->outputs, testing::ElementsAre("y"));

  message.mutable_censored()->set_bound_ns(7);
  result = ReadResult(message, Asked({9}));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(std::get<Censored>(result->outcome).bound_ns, 7);

  message.mutable_failure()->set_kind(v1::KernelFailure::KIND_WRONG_RESULT);
  message.mutable_failure()->set_stage(v1::KernelFailure::STAGE_VERIFY);
  message.mutable_failure()->set_message("differs");
  result = ReadResult(message, Asked({9}));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(std::get<Failure>(result->outcome).kind, FailureKind::kWrongResult);
  EXPECT_EQ(std::get<Failure>(result->outcome).stage, Stage::kVerify);
  EXPECT_EQ(std::get<Failure>(result->outcome).message, "differs");
}

TEST(RunCodecTest, TheStateOfTheDeviceAndItsLogAreReadWithinReason) {
  v1::MeasureResult message;
  message.mutable_timings()->add_samples_ns(2.5);
  message.add_digests(9);
  message.mutable_before()->set_frequency_mhz(2400);
  message.mutable_before()->set_temperature_c(-1);
  message.mutable_after()->set_temperature_c(61.5);
  message.mutable_after()->set_load_1min(std::nan(""));
  message.set_log("no system call filter\n" + std::string(1 << 20, 'x'));
  const auto result = ReadResult(message, Asked({9}));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->before.frequency_mhz, 2400);
  EXPECT_EQ(result->before.temperature_c, 0) << "nonsense is as good as nothing";
  EXPECT_EQ(result->after.temperature_c, 61.5);
  EXPECT_EQ(result->after.load_1min, 0);
  EXPECT_THAT(result->log, testing::StartsWith("no system call filter\n"));
  EXPECT_LE(result->log.size(), 1024u);
}

TEST(RunCodecTest, TimesWithOtherDigestsAreAWrongResultWhateverTheDeviceSays) {
  v1::MeasureResult message;
  message.mutable_timings()->add_samples_ns(2.5);
  message.add_digests(9);
  message.add_digests(10);
  RunRequest request = Asked({9, 11});
  for (const bool censored : {false, true}) {
    if (censored) message.mutable_censored()->set_bound_ns(7);
    const auto result = ReadResult(message, request);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_TRUE(std::holds_alternative<Failure>(result->outcome));
    const Failure& failure = std::get<Failure>(result->outcome);
    EXPECT_EQ(failure.kind, FailureKind::kWrongResult);
    EXPECT_EQ(failure.stage, Stage::kVerify);
    EXPECT_THAT(failure.message, testing::HasSubstr("case 1: "));
    EXPECT_THAT(failure.message, testing::HasSubstr(Hex(10) + " instead of " + Hex(11)));
  }
  request.cases[1].check = false;
  EXPECT_TRUE(std::holds_alternative<Censored>(ReadResult(message, request)->outcome))
      << "nobody knows what must come out";
  message.add_digests(12);
  EXPECT_EQ(ReadResult(message, request).status().code(), StatusCode::kInternal);
  message.clear_digests();
  EXPECT_EQ(ReadResult(message, request).status().code(), StatusCode::kInternal);
}

TEST(RunCodecTest, AFailedDeviceIsAnErrorAndSaysNothingOfTheKernel) {
  v1::MeasureResult message;
  message.mutable_failure()->set_kind(v1::KernelFailure::KIND_DEVICE_LOST);
  message.mutable_failure()->set_stage(v1::KernelFailure::STAGE_DEVICE);
  message.mutable_failure()->set_message("kiln-host: killed by SIGKILL");
  EXPECT_EQ(ReadResult(message, Asked({9})).status().code(), StatusCode::kUnavailable);
}

TEST(RunCodecTest, WhatItDoesNotKnowIsAnErrorNotAResult) {
  v1::MeasureResult message;
  EXPECT_EQ(ReadResult(message, Asked({9})).status().code(), StatusCode::kInternal);
  message.mutable_failure()->set_kind(static_cast<v1::KernelFailure::Kind>(99));
  message.mutable_failure()->set_stage(v1::KernelFailure::STAGE_RUN);
  EXPECT_EQ(ReadResult(message, Asked({9})).status().code(), StatusCode::kInternal);
}

}  // namespace
}  // namespace kiln
