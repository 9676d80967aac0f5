#include "rpc_server/measure_codec.h"

#include <gmock/gmock.h>

#include "proto/device.pb.h"

namespace kiln {
namespace {

constexpr char kKey[] =
    "conv2d/i8/n1h8w8c16/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=gen/double";

v1::MeasureRequest Good() {
  v1::MeasureRequest message;
  message.set_trial_id("trial");
  message.set_symbol("kiln_0123456789abcdef");
  message.set_workload(kKey);
  v1::MeasureCase& one = *message.add_cases();
  one.set_seed(7);
  one.set_recipe_version(kDataRecipeVersion);
  v1::MeasurePlan& plan = *message.mutable_plan();
  plan.set_threads(2);
  plan.set_samples(10);
  plan.set_sample_ns(20'000);
  plan.set_time_out_ns(1'000'000'000);
  plan.set_time(true);
  return message;
}

// What ReadRequest says to a good request that `spoil` has changed.
StatusCode CodeOf(const std::function<void(v1::MeasureRequest&)>& spoil) {
  v1::MeasureRequest message = Good();
  spoil(message);
  return ReadRequest(message, 2).status().code();
}

TEST(MeasureCodecTest, ReadsAGoodRequest) {
  v1::MeasureRequest message = Good();
  v1::MeasureCase& recipe = *message.mutable_cases(0);
  recipe.set_set(v1::MeasureCase::DATA_SET_EDGES);
  recipe.set_check(true);
  recipe.set_expected_digest(8);
  v1::MeasureCase& given = *message.add_cases();
  given.set_explicit_case("values");
  given.set_return_output(true);
  v1::MeasurePlan& plan = *message.mutable_plan();  // nothing in it is the default
  plan.set_cold(true);
  plan.set_samples(11);
  plan.set_sample_ns(12);
  plan.set_warm_up_ns(13);
  plan.set_cut_off_ns(14);
  plan.set_time_out_ns(15);
  plan.set_time(false);
  const auto request = ReadRequest(message, 2);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(Key(request->workload), kKey);
  EXPECT_EQ(request->symbol, "kiln_0123456789abcdef");
  EXPECT_EQ(request->cases.at(0).set, DataSet::kEdges);
  EXPECT_EQ(request->cases.at(0).source, HostCase::Source::kRecipe);
  EXPECT_EQ(request->cases.at(0).seed, 7u);
  EXPECT_TRUE(request->cases.at(0).check);
  EXPECT_EQ(request->cases.at(0).expected_digest, 8u);
  EXPECT_FALSE(request->cases.at(0).return_output);
  EXPECT_EQ(request->cases.at(1).source, HostCase::Source::kExplicit);
  EXPECT_EQ(request->cases.at(1).explicit_case, "values");
  EXPECT_FALSE(request->cases.at(1).check);
  EXPECT_TRUE(request->cases.at(1).return_output);
  EXPECT_EQ(request->plan.cache, CacheState::kCold);
  EXPECT_EQ(request->plan.threads, 2);
  EXPECT_EQ(request->plan.samples, 11);
  EXPECT_EQ(request->plan.sample_ns, 12);
  EXPECT_EQ(request->plan.warm_up_ns, 13);
  EXPECT_EQ(request->plan.cut_off_ns, 14);
  EXPECT_EQ(request->plan.time_out_ns, 15);
  EXPECT_FALSE(request->plan.time);
}

TEST(MeasureCodecTest, MalformedRequestsAreRefused) {
  using Request = v1::MeasureRequest;
  constexpr auto kInvalid = StatusCode::kInvalidArgument;
  ASSERT_EQ(CodeOf([](Request&) {}), StatusCode::kOk) << "what is wrong is what follows";
  EXPECT_EQ(CodeOf([](Request& r) { r.clear_trial_id(); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.clear_symbol(); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.set_symbol(std::string(1000, 's')); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.set_workload("conv3d/i8"); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.clear_cases(); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) {
              for (int i = 0; i < 8; ++i) *r.add_cases() = r.cases(0);
            }),
            kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.mutable_cases(0)->set_recipe_version(99); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) {
              r.mutable_cases(0)->set_set(static_cast<v1::MeasureCase::DataSet>(9));
            }),
            kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.clear_plan(); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.mutable_plan()->set_threads(0); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.mutable_plan()->set_samples(0); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.mutable_plan()->set_samples(1'000'000); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.mutable_plan()->set_time_out_ns(-1); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.mutable_plan()->set_time_out_ns(1ll << 60); }), kInvalid);
  EXPECT_EQ(CodeOf([](Request& r) { r.mutable_plan()->set_sample_ns(-1); }), kInvalid);
}

TEST(MeasureCodecTest, OversizeObjectIsRefused) {
  EXPECT_EQ(CodeOf([](v1::MeasureRequest& r) { r.set_object(std::string(17 << 20, 'x')); }),
            StatusCode::kResourceExhausted);
}

TEST(MeasureCodecTest, MoreThreadsThanCoresAreRefused) {
  const auto request = ReadRequest(Good(), 1);
  EXPECT_EQ(Message(request.status()), "a plan for 2 threads on a device that measures on 1 cores");
}

TEST(MeasureCodecTest, WritesEverythingThatARunnerSays) {
  HostReply reply;
  reply.outcome = Timings{{2.5, 3}, 4};
  reply.digests = {5, 6};
  reply.outputs = {"", "y"};
  reply.before = {2400, 40, 0.5};
  reply.after = {2300, 55, 0.75};
  v1::MeasureResult message;
  WriteResult(reply, &message);
  EXPECT_THAT(message.timings().samples_ns(), testing::ElementsAre(2.5, 3));
  EXPECT_EQ(message.timings().calls_per_sample(), 4);
  EXPECT_THAT(message.digests(), testing::ElementsAre(5u, 6u));
  EXPECT_THAT(message.outputs(), testing::ElementsAre("", "y"));
  EXPECT_EQ(message.before().frequency_mhz(), 2400);
  EXPECT_EQ(message.before().temperature_c(), 40);
  EXPECT_EQ(message.before().load_1min(), 0.5);
  EXPECT_EQ(message.after().frequency_mhz(), 2300);
  EXPECT_EQ(message.after().temperature_c(), 55);
  EXPECT_EQ(message.after().load_1min(), 0.75);

  reply.outcome = Censored{Timings{{8}, 9}, 7};
  WriteResult(reply, &message);
  EXPECT_EQ(message.censored().bound_ns(), 7);
  EXPECT_THAT(message.censored().partial().samples_ns(), testing::ElementsAre(8));
  EXPECT_EQ(message.censored().partial().calls_per_sample(), 9);

  reply.outcome = Failure{Stage::kVerify, FailureKind::kWrongResult, "differs"};
  WriteResult(reply, &message);
  EXPECT_EQ(message.failure().stage(), v1::KernelFailure::STAGE_VERIFY);
  EXPECT_EQ(message.failure().kind(), v1::KernelFailure::KIND_WRONG_RESULT);
  EXPECT_EQ(message.failure().message(), "differs");
}

TEST(MeasureCodecTest, WhatARunnerSaysBecomesPrintable) {
  HostReply reply;
  reply.outcome = Failure{Stage::kRun, FailureKind::kRuntimeError, "SIG\xff\x01"};
  reply.log = "line\n\x80";
  v1::MeasureResult message;
  WriteResult(reply, &message);
  EXPECT_EQ(message.failure().message(), "SIG??");
  EXPECT_EQ(message.failure().kind(), v1::KernelFailure::KIND_RUNTIME_ERROR);
  EXPECT_EQ(message.log(), "line\n?");
  std::string wire;
  EXPECT_TRUE(message.SerializeToString(&wire));
}

TEST(MeasureCodecTest, ClientThatDoesNotKnowAFailureIsToldTheDeviceFailed) {
  HostReply reply;
  reply.outcome = Failure{Stage::kRun, FailureKind::kHostKilled, "took down kiln-host twice"};
  v1::MeasureResult now, before;
  WriteResult(reply, &now);
  EXPECT_EQ(now.failure().kind(), v1::KernelFailure::KIND_HOST_KILLED);
  EXPECT_EQ(now.failure().stage(), v1::KernelFailure::STAGE_RUN);
  WriteResult(reply, &before, kProtocolWithHostKilled - 1);
  EXPECT_EQ(before.failure().kind(), v1::KernelFailure::KIND_DEVICE_LOST);
  EXPECT_EQ(before.failure().stage(), v1::KernelFailure::STAGE_DEVICE);
  EXPECT_EQ(before.failure().message(), now.failure().message());
}

}  // namespace
}  // namespace kiln
