#include "models/output_sizes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/workload_key.h"

namespace kiln {
namespace {

using ::testing::HasSubstr;

Workload Parsed(const char* key) {
  const StatusOr<Workload> workload = ParseWorkload(key);
  EXPECT_TRUE(workload.ok()) << workload.status();
  return *workload;
}

TEST(OutputSizesTest, AreThoseOfTheOperator) {
  EXPECT_EQ(OutputSizesOf(Parsed("conv2d/i8/n2h9w8c3/o4/k3x3/s2x2/p1,0,1,1/d1x1/g1/pc/wz0/act=none/"
                                 "rq=gen/double")),
            (OutputSizes{2, 5, 4, 4}));
  EXPECT_EQ(OutputSizesOf(Parsed("dense/i8/n3c8/o5/pc/wz0/act=none/rq=gen/double")),
            (OutputSizes{3, 1, 1, 5}));
  // As a table or a file has them: not canonical yet, or impossible.
  EXPECT_EQ(OutputSizesOf({.op = OpKind::kDepthwise,
                           .h = 8,
                           .w = 8,
                           .c = 4,
                           .kh = 3,
                           .kw = 9,
                           .stride_h = 2,
                           .multiplier = 2}),
            (OutputSizes{1, 3, 0, 8}));
}

// A key that stands for another computation than the source's is not taken, whoever imports.
TEST(OutputSizesTest, AnotherOutputThanTheSourcesIsAnError) {
  const Workload four =
      Parsed("conv2d/i8/n1h2w2c16/o8/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=none/rq=signed1/double");
  EXPECT_TRUE(CheckOutput(four, {1, 2, 2, 8}).ok());
  for (const OutputSizes& wrong : {OutputSizes{1, 1, 1, 8}, OutputSizes{1, 2, 2, 7},
                                   OutputSizes{2, 2, 2, 8}, OutputSizes{1, 2, 1, 8}}) {
    EXPECT_EQ(CheckOutput(four, wrong).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_THAT(Message(CheckOutput(four, {1, 1, 1, 8})),
              HasSubstr("[1, 1, 1, 8], must be [1, 2, 2, 8]"));
}

}  // namespace
}  // namespace kiln
