#include "dashboard/words.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

TEST(WordsTest, NumbersReadAsPeopleWriteThem) {
  EXPECT_EQ(MicrosecondsText(12'345), "12.35");
  EXPECT_EQ(MillisecondsText(1'234'567), "1.235");
  EXPECT_EQ(GainText(1.5), "1.50x");
  EXPECT_EQ(ShareText(0.626), "63%");
  EXPECT_EQ(BytesText(999), "999 bytes");
  EXPECT_EQ(BytesText(12'345'678), "12.3 MB");
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(1000), "1,000");
  EXPECT_EQ(CountText(1'234'567), "1,234,567");
  EXPECT_EQ(CountText(-1000), "-1,000");
  EXPECT_EQ(CountText(-100), "-100");
  EXPECT_EQ(CountedText(1, "layer"), "1 layer");
  EXPECT_EQ(CountedText(2000, "layer"), "2,000 layers");
}

TEST(WordsTest, SpansHaveTheirTwoLargestUnits) {
  EXPECT_EQ(SpanText(-5), "0s");
  EXPECT_EQ(SpanText(12'999), "12s");
  EXPECT_EQ(SpanText(250'000), "4m10s");
  EXPECT_EQ(SpanText(7'500'000), "2h05m");
  EXPECT_EQ(SpanText(3 * 86'400'000 + 4 * 3'600'000), "3d4h");
  EXPECT_EQ(AgoText(0, 1000), "never");
}

TEST(WordsTest, ShortenedTextEndsBetweenCharacters) {
  EXPECT_EQ(Shortened("abc", 3), "abc");
  EXPECT_EQ(Shortened("abcd", 3), "abc...");
  EXPECT_EQ(Shortened("ab\ncd", 9), "ab ...");
  EXPECT_EQ(Shortened("a\xC3\xBC", 2), "a...") << "not half of an umlaut";
}

TEST(WordsTest, KeysOfOtherVersionsAreShownAsTheyAre) {
  EXPECT_EQ(WorkloadText("what/is/this"), "what/is/this");
  EXPECT_EQ(WorkloadText("dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double"), "fc 64->10");
}

}  // namespace
}  // namespace kiln
