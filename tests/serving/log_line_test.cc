#include "apps/serving/log_line.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

TEST(LogLineTest, WhatIsSeenStays) {
  EXPECT_EQ(OneLine(""), "");
  EXPECT_EQ(OneLine("device a refused: 100% \"gone\" (C:\\n)"),
            "device a refused: 100% \"gone\" (C:\\n)");
  EXPECT_EQ(OneLine("Gerät 東京 😀"), "Gerät 東京 😀");
}

TEST(LogLineTest, ForgedLinesAndEscapeSequencesAreSpeltOut) {
  EXPECT_EQ(OneLine("a\n2026-01-01T00:00:00.000 info all is well"),
            "a\\n2026-01-01T00:00:00.000 info all is well");
  EXPECT_EQ(OneLine("a\r\n\tb"), "a\\r\\n\\tb");
  EXPECT_EQ(OneLine("\x1b[2J\x07\x7f"), "\\x1b[2J\\x07\\x7f");
  EXPECT_EQ(OneLine(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(OneLine("\u009b2J\u2028\u202e\ufeff"), "\\u009b2J\\u2028\\u202e\\ufeff");
}

TEST(LogLineTest, WhatIsNotUtf8IsSpeltOut) {
  EXPECT_EQ(OneLine("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(OneLine("\xc0\x8a"), "\\xc0\\x8a") << "a newline in two bytes";
  EXPECT_EQ(OneLine("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(OneLine("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
  EXPECT_EQ(OneLine("\xe6\x9d"), "\\xe6\\x9d") << "it ends too early";
  EXPECT_EQ(OneLine("\xe6\nb"), "\\xe6\\nb");
}

TEST(LogLineTest, LongTextIsClippedBetweenCharacters) {
  EXPECT_EQ(OneLine(std::string(1024, 'x')), std::string(1024, 'x'));
  std::string long_text;
  long_text.resize(41'943'040, 'x');
  EXPECT_EQ(OneLine(long_text), std::string(1024, 'x') + "... (41,943,040 bytes)");
  EXPECT_EQ(OneLine("ää", 3), "ä... (4 bytes)");
  EXPECT_EQ(OneLine("ab\n", 3), "ab... (3 bytes)");
  EXPECT_EQ(OneLine("a\n", 3), "a\\n");
}

TEST(LogLineTest, NumbersAreGrouped) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1000), "1,000");
  EXPECT_EQ(Grouped(1234567), "1,234,567");
}

}  // namespace
}  // namespace kiln
