#include "kernel_host/host_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "base/rng.h"

namespace kiln {
namespace {

// Nothing in it is the default, so that nothing that is left out comes back all the same.
HostRequest SomeRequest() {
  HostRequest request;
  request.object = std::string(
      "\x7f"
      "ELF\0",
      5);
  request.symbol = "kiln_0";
  Workload& w = request.workload;
  w.op = OpKind::kDepthwise;
  w.type = DataType::kU8S8;
  std::int32_t size = 32;
  for (std::int32_t* field : {&w.n, &w.h, &w.w, &w.c, &w.o, &w.kh, &w.kw, &w.stride_h, &w.stride_w,
                              &w.pad_top, &w.pad_left, &w.pad_bottom, &w.pad_right, &w.dilation_h,
                              &w.dilation_w, &w.groups, &w.multiplier}) {
    *field = ++size;
  }
  w.per_channel = false;
  w.weight_zero_point = w.full_range_weights = true;
  w.act = Activation::kLo;
  w.rq = RequantizeForm::kInt9;
  w.rounding = Rounding::kSingle;
  request.cases.resize(2);
  request.cases[0].set = DataSet::kEdges;
  request.cases[0].seed = 1ull << 60;
  request.cases[0].expected_digest = 1ull << 50;
  request.cases[1].source = HostCase::Source::kExplicit;
  request.cases[1].explicit_case = "values";
  request.cases[1].check = false;
  request.cases[1].return_output = true;
  request.plan = {.threads = 3,
                  .cache = CacheState::kCold,
                  .samples = 4,
                  .sample_ns = 5,
                  .warm_up_ns = 6,
                  .cut_off_ns = 77,
                  .time_out_ns = 8,
                  .time = false};
  request.cores = {1, 0};
  return request;
}

void ExpectSame(const HostCase& received, const HostCase& sent) {
  EXPECT_EQ(received.source, sent.source);
  EXPECT_EQ(received.set, sent.set);
  EXPECT_EQ(received.seed, sent.seed);
  EXPECT_EQ(received.explicit_case, sent.explicit_case);
  EXPECT_EQ(received.check, sent.check);
  EXPECT_EQ(received.expected_digest, sent.expected_digest);
  EXPECT_EQ(received.return_output, sent.return_output);
}

void ExpectSame(const MeasurePlan& received, const MeasurePlan& sent) {
  EXPECT_EQ(received.threads, sent.threads);
  EXPECT_EQ(received.cache, sent.cache);
  EXPECT_EQ(received.samples, sent.samples);
  EXPECT_EQ(received.sample_ns, sent.sample_ns);
  EXPECT_EQ(received.warm_up_ns, sent.warm_up_ns);
  EXPECT_EQ(received.cut_off_ns, sent.cut_off_ns);
  EXPECT_EQ(received.time_out_ns, sent.time_out_ns);
  EXPECT_EQ(received.time, sent.time);
}

TEST(HostProtocolTest, RequestComesBackAsItWas) {
  const HostRequest sent = SomeRequest();
  HostRequest received;
  ASSERT_TRUE(Deserialize(Serialize(sent), received));
  EXPECT_EQ(received.object, sent.object);
  EXPECT_EQ(received.symbol, sent.symbol);
  EXPECT_EQ(received.workload, sent.workload);
  ASSERT_EQ(received.cases.size(), sent.cases.size());
  for (std::size_t i = 0; i < sent.cases.size(); ++i) {
    ExpectSame(received.cases[i], sent.cases[i]);
  }
  ExpectSame(received.plan, sent.plan);
  EXPECT_EQ(received.cores, sent.cores);
}

void ExpectSame(const Timings& received, const Timings& sent) {
  EXPECT_EQ(received.samples_ns, sent.samples_ns);
  EXPECT_EQ(received.calls_per_sample, sent.calls_per_sample);
}

void ExpectSame(const DeviceState& received, const DeviceState& sent) {
  EXPECT_EQ(received.frequency_mhz, sent.frequency_mhz);
  EXPECT_EQ(received.temperature_c, sent.temperature_c);
  EXPECT_EQ(received.load_1min, sent.load_1min);
}

// What comes back of a reply with this outcome, all but which has been checked.
Outcome ThereAndBack(const Outcome& outcome) {
  HostReply sent;
  sent.outcome = outcome;
  sent.digests = {1, 2};
  sent.outputs = {"", "bytes"};
  sent.before = {2300, 40, 0.5};
  sent.after = {2200, 55, 0.75};
  sent.began_ns = 11;
  sent.ended_ns = 12;
  sent.log = "a line\n";
  HostReply received;
  EXPECT_TRUE(Deserialize(Serialize(sent), received));
  EXPECT_EQ(received.digests, sent.digests);
  EXPECT_EQ(received.outputs, sent.outputs);
  ExpectSame(received.before, sent.before);
  ExpectSame(received.after, sent.after);
  EXPECT_EQ(received.began_ns, sent.began_ns);
  EXPECT_EQ(received.ended_ns, sent.ended_ns);
  EXPECT_EQ(received.log, sent.log);
  return received.outcome;
}

TEST(HostProtocolTest, EveryOutcomeComesBackAsItWas) {
  const Timings timings = {{1.5, 2.5}, 7};
  const Outcome timed = ThereAndBack(timings);
  ASSERT_TRUE(std::holds_alternative<Timings>(timed));
  ExpectSame(std::get<Timings>(timed), timings);
  const Outcome censored = ThereAndBack(Censored{timings, 1.25});
  ASSERT_TRUE(std::holds_alternative<Censored>(censored));
  ExpectSame(std::get<Censored>(censored).partial, timings);
  EXPECT_EQ(std::get<Censored>(censored).bound_ns, 1.25);
  const Outcome failed =
      ThereAndBack(Failure{Stage::kPack, FailureKind::kWrongClass, "outside of the class"});
  ASSERT_TRUE(std::holds_alternative<Failure>(failed));
  EXPECT_EQ(std::get<Failure>(failed).stage, Stage::kPack);
  EXPECT_EQ(std::get<Failure>(failed).kind, FailureKind::kWrongClass);
  EXPECT_EQ(std::get<Failure>(failed).message, "outside of the class");
}

TEST(HostProtocolTest, DescriptionComesBackAsItWas) {
  const HostDescription sent = {"aarch64", Bit(IsaFeature::kNeon), 16384};
  HostDescription received;
  ASSERT_TRUE(Deserialize(Serialize(sent), received));
  EXPECT_EQ(received.arch, "aarch64");
  EXPECT_EQ(received.isa, sent.isa);
  EXPECT_EQ(received.page_bytes, 16384);
  HostRequest request;
  EXPECT_FALSE(Deserialize(kDescribeFrame, request)) << "the question must not look like a request";
}

TEST(HostProtocolTest, EveryTruncationAndEveryTailIsRefused) {
  const std::string frame = Serialize(SomeRequest());
  HostRequest request;
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(Deserialize(std::string_view(frame).substr(0, size), request)) << size;
  }
  EXPECT_FALSE(Deserialize(frame + "x", request));
}

TEST(HostProtocolTest, ValuesThatNoEnumOrBoolHasAreRefused) {
  HostRequest request = SomeRequest();
  request.workload.op = static_cast<OpKind>(3);
  EXPECT_FALSE(Deserialize(Serialize(request), request));
  HostReply reply;
  reply.outcome = Failure{Stage::kRun, static_cast<FailureKind>(200), ""};
  EXPECT_FALSE(Deserialize(Serialize(reply), reply));
}

TEST(HostProtocolTest, RandomFramesAreReadOrRefused) {
  Rng rng(1);
  const std::string frame = Serialize(SomeRequest());
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = frame;
    for (std::uint64_t flips = 1 + rng.Below(3); flips > 0; --flips) {
      damaged[rng.Below(damaged.size())] = static_cast<char>(rng.Next());
    }
    HostRequest request;
    HostReply reply;
    refused += !Deserialize(damaged, request);
    refused += !Deserialize(damaged, reply);
  }
  EXPECT_GT(refused, 20000);
}

}  // namespace
}  // namespace kiln
