#include "kernel_host/host_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "base/rng.h"

namespace kiln {
namespace {

HostRequest SomeRequest() {
  HostRequest request;
  request.object = std::string(
      "\x7f"
      "ELF\0",
      5);
  request.symbol = "kiln_0";
  request.workload.op = OpKind::kDepthwise;
  request.workload.c = 33;
  request.workload.per_channel = false;
  request.workload.rq = RequantizeForm::kInt9;
  request.cases.resize(2);
  request.cases[0].set = DataSet::kEdges;
  request.cases[0].seed = 1ull << 60;
  request.cases[1].source = HostCase::Source::kExplicit;
  request.cases[1].explicit_case = "values";
  request.cases[1].check = false;
  request.cases[1].return_output = true;
  request.plan.threads = 3;
  request.plan.cache = CacheState::kCold;
  request.plan.cut_off_ns = 77;
  request.cores = {1, 0};
  return request;
}

TEST(HostProtocolTest, RequestComesBackAsItWas) {
  const HostRequest sent = SomeRequest();
  HostRequest received;
  ASSERT_TRUE(Deserialize(Serialize(sent), received));
  EXPECT_EQ(Serialize(received), Serialize(sent));
  EXPECT_EQ(received.object, sent.object);
  EXPECT_EQ(received.workload, sent.workload);
  EXPECT_EQ(received.cases[0].seed, sent.cases[0].seed);
  EXPECT_EQ(received.cases[1].explicit_case, "values");
  EXPECT_TRUE(received.cases[1].return_output);
  EXPECT_EQ(received.plan.cut_off_ns, 77);
  EXPECT_EQ(received.cores, sent.cores);
}

TEST(HostProtocolTest, EveryOutcomeComesBackAsItWas) {
  const Timings timings = {{1.5, 2.5}, 7};
  const Outcome outcomes[] = {
      timings, Censored{timings, 1.5},
      Failure{Stage::kPack, FailureKind::kWrongClass, "outside of the class"}};
  for (const Outcome& outcome : outcomes) {
    HostReply sent;
    sent.outcome = outcome;
    sent.digests = {1, 2};
    sent.outputs = {"", "bytes"};
    sent.before.frequency_mhz = 2300;
    sent.log = "a line\n";
    HostReply received;
    ASSERT_TRUE(Deserialize(Serialize(sent), received));
    EXPECT_EQ(received.outcome.index(), outcome.index());
    EXPECT_EQ(Serialize(received), Serialize(sent));
    EXPECT_EQ(received.outputs, sent.outputs);
    EXPECT_EQ(received.before.frequency_mhz, 2300);
  }
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
