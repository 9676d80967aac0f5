#include "toolchain/compile_job.h"

#include <gmock/gmock.h>

namespace kiln {
namespace {

CompileJob SomeJob() {
  return {.c = "int x;",
          .symbol = "kiln_1",
          .arch = "aarch64",
          .cpu = "generic",
          .tune_cpu = "cortex-a72",
          .features = {"+dotprod", "-i8mm"},
          .vector_bits = 512,
          .emit = EmitKind::kAssembly};
}

TEST(CompileJobTest, JobSurvivesTheWire) {
  CompileJob job;
  ASSERT_TRUE(Deserialize(Serialize(SomeJob()), job));
  EXPECT_EQ(job.c, "int x;");
  EXPECT_EQ(job.symbol, "kiln_1");
  EXPECT_EQ(job.arch, "aarch64");
  EXPECT_EQ(job.cpu, "generic");
  EXPECT_EQ(job.tune_cpu, "cortex-a72");
  EXPECT_THAT(job.features, testing::ElementsAre("+dotprod", "-i8mm"));
  EXPECT_EQ(job.vector_bits, 512);
  EXPECT_EQ(job.emit, EmitKind::kAssembly);
}

TEST(CompileJobTest, ReplySurvivesTheWire) {
  CompileReply reply;
  const CompileReply sent{CompileReply::Outcome::kRejected, std::string("\0elf", 4), "no", "clang"};
  ASSERT_TRUE(Deserialize(Serialize(sent), reply));
  EXPECT_EQ(reply.outcome, CompileReply::Outcome::kRejected);
  EXPECT_EQ(reply.output, sent.output);
  EXPECT_EQ(reply.message, "no");
  EXPECT_EQ(reply.compiler, "clang");
}

TEST(CompileJobTest, EveryTruncationAndExtensionIsRefused) {
  const std::string whole = Serialize(SomeJob());
  CompileJob job;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(Deserialize(whole.substr(0, size), job)) << size;
  }
  EXPECT_FALSE(Deserialize(whole + "x", job));
}

}  // namespace
}  // namespace kiln
