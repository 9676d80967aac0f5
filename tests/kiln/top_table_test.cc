#include "apps/kiln/top_table.h"

#include <gmock/gmock.h>

namespace kiln {
namespace {

using testing::ElementsAre;

const std::vector<TopColumn> kColumns{{"name", Table::Align::kLeft, 9, 4},
                                      {"place", Table::Align::kLeft, 1},
                                      {"n", Table::Align::kRight, 7}};
const std::vector<std::vector<std::string>> kRows{{"longer", "attic", "7"}, {"ü", "", "10"}};

TEST(TopTableTest, WhatFitsIsWhole) {
  EXPECT_THAT(LayOut(kColumns, kRows, 17),
              ElementsAre("name    place   n", "longer  attic   7", "ü              10"));
}

TEST(TopTableTest, CheapColumnsGoBeforeNamesAreCut) {
  EXPECT_THAT(LayOut(kColumns, kRows, 16), ElementsAre("name     n", "longer   7", "ü       10"));
}

TEST(TopTableTest, NamesAreCutBeforeDearColumnsGo) {
  EXPECT_THAT(LayOut(kColumns, kRows, 9), ElementsAre("name    n", "long~   7", "ü      10"));
  EXPECT_THAT(LayOut(kColumns, kRows, 7), ElementsAre("name", "longer", "ü"));
  EXPECT_THAT(LayOut(kColumns, kRows, 2), ElementsAre("na", "lo", "ü"));
}

TEST(TopTableTest, TextOfOthersIsTextToTheTerminal) {
  EXPECT_EQ(Printable("a\tb\x1b[2J", true), "a\\tb\\x1b[2J");
  EXPECT_EQ(Printable("ü█", true), "ü█");
  EXPECT_EQ(Printable("ü█", false), "??");
  EXPECT_EQ(Printable("\xff\xc2\x9bz", true), "??z") << "no UTF-8; a control character of C1";
}

}  // namespace
}  // namespace kiln
