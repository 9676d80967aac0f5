#include "dashboard/html.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <random>

#include "base/rng.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::Not;

// What a browser makes of text that this module escaped.
std::string Unescaped(std::string text) {
  constexpr std::pair<const char*, const char*> kEntities[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  for (const auto& [entity, character] : kEntities) {
    for (std::size_t at = 0; (at = text.find(entity, at)) != std::string::npos; ++at) {
      text.replace(at, std::string_view(entity).size(), character);
    }
  }
  return text;
}

TEST(HtmlTest, MarkupInTextStaysText) {
  EXPECT_EQ(HtmlEscaped("<script>alert('1')</script> & \"so\""),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;so&quot;");
}

TEST(HtmlTest, AttributeCannotEndItsQuotes) {
  HtmlWriter html;
  html.Element("p", "", {{"title", "\" onload=\"x"}});
  EXPECT_THAT(html.Take(), HasSubstr("<p title=\"&quot; onload=&quot;x\"></p>"));
}

TEST(HtmlTest, BytesThatAreNoTextAreReplaced) {
  EXPECT_EQ(HtmlEscaped("a\xFF"
                        "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(HtmlEscaped(std::string_view("a\0b", 3)),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(HtmlEscaped("\x1B[31m"), "\xEF\xBF\xBD[31m");
  EXPECT_EQ(HtmlEscaped("\xC0\xBC"), "\xEF\xBF\xBD\xEF\xBF\xBD") << "an overlong <";
  EXPECT_EQ(HtmlEscaped("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD") << "a surrogate";
  EXPECT_EQ(HtmlEscaped("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD") << "cut off";
  EXPECT_EQ(HtmlEscaped("gr\xC3\xBC\xC3\x9F \xF0\x9F\x94\xA5"),
            "gr\xC3\xBC\xC3\x9F \xF0\x9F\x94\xA5");
}

TEST(HtmlTest, WhatIsOpenIsClosed) {
  HtmlWriter html;
  html.Open("main");
  html.Open("p");
  html.Text("x");
  EXPECT_THAT(html.Take(), HasSubstr("<main><p>x</p>\n</main>"));
}

TEST(HtmlTest, IdsAreUsedOnce) {
  HtmlWriter html;
  EXPECT_NE(html.NewId("title"), html.NewId("title"));
}

TEST(HtmlTest, RandomTextNeverBecomesMarkup) {
  const std::uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Rng rng(seed);
  constexpr std::string_view kTricky = "<>&\"'/=!-;#x3Cscript \n\t";
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (std::uint64_t n = rng.Below(40); n > 0; --n) {
      const bool tricky = rng.Below(2) == 0;
      text += tricky ? kTricky[rng.Below(kTricky.size())] : static_cast<char>(rng.Below(256));
    }
    const std::string escaped = HtmlEscaped(text);
    ASSERT_EQ(escaped.find_first_of("<>\"'"), std::string::npos) << testing::PrintToString(text);
    // Escaping what a reader gets gives the same again: nothing was lost, and all is valid.
    ASSERT_EQ(HtmlEscaped(Unescaped(escaped)), escaped) << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace kiln
