#include "toolchain/estimate_job.h"

#include <gmock/gmock.h>

namespace kiln {
namespace {

EstimateJob SomeJob() {
  return {.object = std::string("\0elf", 4),
          .arch = "aarch64",
          .cpu = "cortex-a72",
          .blocks = {{4096, 64, 1'000'000'000'000}, {4160, 4, 1}}};
}

TEST(EstimateJobTest, JobSurvivesTheWire) {
  EstimateJob job;
  ASSERT_TRUE(Deserialize(Serialize(SomeJob()), job));
  EXPECT_EQ(job.object, SomeJob().object);
  EXPECT_EQ(job.arch, "aarch64");
  EXPECT_EQ(job.cpu, "cortex-a72");
  EXPECT_EQ(job.blocks, SomeJob().blocks);
}

TEST(EstimateJobTest, ReplySurvivesTheWire) {
  EstimateReply reply;
  const EstimateReply sent{EstimateReply::Outcome::kEstimated, 1234.5, 5000, 0.99, "text"};
  ASSERT_TRUE(Deserialize(Serialize(sent), reply));
  EXPECT_EQ(reply.outcome, EstimateReply::Outcome::kEstimated);
  EXPECT_EQ(reply.cycles, 1234.5);
  EXPECT_EQ(reply.instructions, 5000);
  EXPECT_EQ(reply.simulated_share, 0.99);
  EXPECT_EQ(reply.message, "text");
}

TEST(EstimateJobTest, EveryTruncationAndExtensionIsRefused) {
  const std::string whole = Serialize(SomeJob());
  EstimateJob job;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(Deserialize(whole.substr(0, size), job)) << size;
  }
  EXPECT_FALSE(Deserialize(whole + "x", job));
}

TEST(EstimateJobTest, TheTwoKindsOfJobsAreNotTakenForEachOther) {
  CompileJob compile;
  EXPECT_FALSE(Deserialize(Serialize(SomeJob()), compile));
  EstimateJob estimate;
  EXPECT_FALSE(Deserialize(Serialize(CompileJob{.c = "int x;"}), estimate));
}

}  // namespace
}  // namespace kiln
