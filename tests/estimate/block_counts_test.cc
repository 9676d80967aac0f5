#include "estimate/block_counts.h"

#include <gmock/gmock.h>

#include <string>

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string ErrorOf(std::string_view text) {
  const auto blocks = ParseBlockCounts(text);
  EXPECT_EQ(blocks.status().code(), StatusCode::kDataLoss) << text;
  return Message(blocks.status());
}

TEST(BlockCountsTest, ReadsWhatThePluginWrites) {
  EXPECT_THAT(*ParseBlockCounts("1024 16 3\n1040 4 18446744073709551615\nend\n"),
              ElementsAre(CountedBlock{1024, 16, 3}, CountedBlock{1040, 4, ~0ULL}));
  EXPECT_THAT(*ParseBlockCounts("end\n"), IsEmpty());
}

TEST(BlockCountsTest, RefusesWhatWasCutShort) {
  const std::string whole = "1024 16 3\n1040 4 7\nend\n";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseBlockCounts(whole.substr(0, size)).ok()) << size;
  }
}

TEST(BlockCountsTest, RefusesWhatIsNoCount) {
  EXPECT_THAT(ErrorOf("1024 16\nend\n"), HasSubstr("'1024 16'"));
  EXPECT_THAT(ErrorOf("1024 16 3 4\nend\n"), HasSubstr("1024 16 3 4"));
  EXPECT_THAT(ErrorOf("-1 16 3\nend\n"), HasSubstr("-1"));
  EXPECT_THAT(ErrorOf("1024 0 3\nend\n"), HasSubstr("1024 0 3"));
  EXPECT_THAT(ErrorOf("1024 99999999999 3\nend\n"), HasSubstr("99999999999"));
  EXPECT_THAT(ErrorOf("1 1 99999999999999999999\nend\n"), HasSubstr("99999999999999999999"));
  EXPECT_THAT(ErrorOf("end\nend\n"), HasSubstr("behind"));
}

}  // namespace
}  // namespace kiln
