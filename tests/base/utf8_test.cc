#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace kiln {
namespace {

using namespace std::string_literals;

TEST(Utf8Test, CharactersOfEachLengthAreRead) {
  const struct {
    std::string text;
    char32_t code;
  } cases[] = {{"a", 'a'},
               {"\0"s, 0},
               {"\x7f", 0x7f},
               {"\u00fc", 0xfc},
               {"\u20ac", 0x20ac},
               {"\U0001F525", 0x1f525},
               {"\xc2\x80", 0x80},
               {"\xe0\xa0\x80", 0x800},
               {"\xf4\x8f\xbf\xbf", 0x10ffff}};
  for (const auto& each : cases) {
    const Utf8Character first = FirstUtf8(each.text + "z");
    EXPECT_TRUE(first.valid) << each.text;
    EXPECT_EQ(first.bytes, each.text.size()) << each.text;
    EXPECT_EQ(first.code, each.code) << each.text;
    EXPECT_TRUE(IsUtf8("a" + each.text + "z"));
  }
  EXPECT_TRUE(IsUtf8(""));
}

// Cut off, out of place, needlessly long, surrogates, beyond the last one.
TEST(Utf8Test, WhatIsNoneIsOneByte) {
  for (const std::string text : {"\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x94", "\xc0\x80", "\xc1\xbf",
                                 "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                 "\xf4\x90\x80\x80", "\xf8\x88\x80\x80", "\xff", "\xc3\x28"}) {
    const Utf8Character first = FirstUtf8(text);
    EXPECT_FALSE(first.valid) << text;
    EXPECT_EQ(first.bytes, 1u) << text;
    EXPECT_FALSE(IsUtf8("a" + text)) << text;
  }
}

}  // namespace
}  // namespace kiln
