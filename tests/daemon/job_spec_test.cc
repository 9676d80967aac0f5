#include "daemon/job_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/daemon/random_spec.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kKey[] =
    "conv2d/i8/n1h14w14c32/o48/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";

// Refused, with a message of one line that has this in it.
void ExpectRefused(const std::string& json, const std::string& words) {
  const StatusOr<JobSpec> spec = ParseJobSpec(json);
  ASSERT_FALSE(spec.ok()) << json;
  EXPECT_EQ(spec.status().code(), StatusCode::kInvalidArgument) << json;
  EXPECT_THAT(Message(spec.status()), AllOf(HasSubstr(words), Not(HasSubstr("\n")))) << json;
}

// A spec with this beside its network.
std::string With(const std::string& members) {
  return R"({"networks":[{"network":"resnet18"}],)" + members + "}";
}
std::string OfNetwork(const std::string& members) { return R"({"networks":[{)" + members + "}]}"; }

TEST(JobSpecTest, AnySpecComesBackAsItWas) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  for (int i = 0; i < 500; ++i) {
    const JobSpec spec = DrawSpec(rng);
    const std::string json = ToJson(spec);
    EXPECT_EQ(json.find('\n'), std::string::npos);
    const StatusOr<JobSpec> again = ParseJobSpec(json);
    ASSERT_TRUE(again.ok()) << json << "\n" << again.status();
    ASSERT_EQ(*again, spec) << json;
    ASSERT_EQ(ToJson(*again), json);
  }
}

TEST(JobSpecTest, WhatIsAtItsDefaultIsLeftOut) {
  JobSpec spec;
  spec.networks.push_back({.network = "resnet18"});
  EXPECT_EQ(ToJson(spec), R"({"networks":[{"network":"resnet18"}]})");
  spec.networks[0].weight = 2.5;
  spec.threads = 2;
  spec.trials = 0;
  EXPECT_EQ(ToJson(spec),
            R"({"networks":[{"network":"resnet18","weight":2.5}],"threads":2,"trials":0})");
}

TEST(JobSpecTest, SaysWhatAnUnknownMemberMeans) {
  ExpectRefused(With(R"("trails":5)"), "no member `trails`: did you mean `trials`?");
  ExpectRefused(OfNetwork(R"("modle":"/m.tflite")"),
                "no member `networks[0].modle`: did you mean `model`?");
  ExpectRefused(With(R"("window":"night")"), "no member `window`; there are networks, target");
}

TEST(JobSpecTest, NamesAMemberThatIsMissing) {
  ExpectRefused("{}", "`networks` is missing");
  ExpectRefused(R"({"networks":[]})", "`networks` must be a list of 1 to 1000 networks");
  ExpectRefused(OfNetwork(R"("weight":1)"), "`networks[0]` must have exactly one of model");
}

TEST(JobSpecTest, NamesAMemberThatIsThereTwice) {
  ExpectRefused(With(R"("seed":1,"seed":2)"), "`seed` is there twice");
  ExpectRefused(OfNetwork(R"("network":"a","network":"b")"), "`network` is there twice");
  const auto apart = ParseJobSpec(R"({"networks":[{"network":"a"},{"network":"b"}]})");
  EXPECT_TRUE(apart.ok()) << apart.status();
}

TEST(JobSpecTest, NamesAMemberOfAnotherType) {
  ExpectRefused(With(R"("threads":"2")"),
                "`threads` must be a whole number from 1 to 128, not of type string");
  ExpectRefused(With(R"("trials":1.5)"), "`trials` must be a whole number");
  ExpectRefused(With(R"("trials":null)"), "`trials` must be a whole number");
  ExpectRefused(With(R"("stale_only":1)"), "`stale_only` must be true or false");
  ExpectRefused(With(R"("target":["a"])"), "`target` must be a text, not of type array");
  ExpectRefused(R"({"networks":{"network":"a"}})", "`networks` must be a list");
  ExpectRefused(R"({"networks":["resnet18"]})", "`networks[0]` must be an object");
  ExpectRefused(OfNetwork(R"("workloads":"k")"), "`networks[0].workloads` must be a list");
  ExpectRefused(OfNetwork(R"("workloads":[1])"), "`networks[0].workloads` must be a list");
}

TEST(JobSpecTest, NamesAMemberOutOfRange) {
  ExpectRefused(With(R"("threads":0)"), "`threads` must be a whole number from 1 to 128, not 0");
  ExpectRefused(With(R"("threads":4294967297)"), "`threads` must be");
  ExpectRefused(With(R"("trials":-1)"), "`trials` must be");
  ExpectRefused(With(R"("early_stop":0)"), "`early_stop` must be");
  ExpectRefused(With(R"("seconds":0)"), "`seconds` must be");
  ExpectRefused(With(R"("seed":-1)"), "`seed` must be");
  ExpectRefused(With(R"("seed":18446744073709551616)"), "`seed` must be");
  ExpectRefused(With(R"("cache":"warm")"), "`cache` must be hot or cold, not `warm`");
  ExpectRefused(With(R"("target":"")"), "`target` must be a text of 1 to 4096 bytes");
  ExpectRefused(With(R"("target":"a\nb")"), "without control characters");
  ExpectRefused(With(R"("target":"./my.json")"), "`target` must be a name and no file");
  ExpectRefused(OfNetwork(R"("model":"m.tflite")"), "`networks[0].model` must be an absolute path");
  ExpectRefused(OfNetwork(R"("network":"a","weight":0)"),
                "`networks[0].weight` must be a number above 0");
  ExpectRefused(OfNetwork(R"("network":"a","weight":1e10)"), "`networks[0].weight` must be");
  ExpectRefused(OfNetwork(R"("workloads":["conv2d/i9"])"), "`networks[0].workloads`: workload key");
  ExpectRefused(OfNetwork(R"("workloads":["conv2d/i\n"])"), "workload keys, not `conv2d/i?`");
}

TEST(JobSpecTest, RefusesMembersThatDoNotGoTogether) {
  ExpectRefused(OfNetwork(R"("network":"a","model":"/m")"), "exactly one of model");
  ExpectRefused(OfNetwork(R"("network":"a","layers_type":"i8")"), "go with layers");
  ExpectRefused(OfNetwork(R"("layers":"/l","layers_type":"f32")"), "must be i8, u8s8 or u8");
  ExpectRefused(OfNetwork(R"("network":"a","digest":"0123456789abcdef")"), "goes with a file");
  ExpectRefused(OfNetwork(R"("model":"/m","digest":"0123456789ABCDEF")"), "16 lower-case hex");
}

TEST(JobSpecTest, RefusesWhatIsNoJsonObject) {
  ExpectRefused("", "not JSON");
  ExpectRefused("{", "not JSON");
  ExpectRefused("[]", "not a JSON object");
  ExpectRefused(With("\"target\":\"\xff\""), "not JSON");
  ExpectRefused(std::string(100'000, '['), "not JSON");
  ExpectRefused(With("\"seed\":" + std::string(100'000, '[') + std::string(100'000, ']')),
                "`seed` must be");
}

TEST(JobSpecTest, SaysForPeopleWhatIsTunedWhere) {
  JobSpec spec;
  spec.networks.push_back({.network = "mobilenet_v1"});
  spec.networks.push_back({.model = "/models/m.tflite"});
  EXPECT_EQ(Describe(spec), "mobilenet_v1, m.tflite on native");
  spec.networks = {{.workloads = {kKey}}};
  spec.target = "rasp4b";
  EXPECT_EQ(Describe(spec), "1 workload on rasp4b");
}

}  // namespace
}  // namespace kiln
