#include "daemon/closest_word.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace kiln {
namespace {

constexpr std::array<std::string_view, 5> kWords = {"trials", "threads", "seed", "from",
                                                    "keep_backups"};

TEST(ClosestWordTest, ForgivesTwoLetters) {
  EXPECT_EQ(ClosestWord("trial", kWords), "trials");
  EXPECT_EQ(ClosestWord("thread", kWords), "threads");
  EXPECT_EQ(ClosestWord("sed", kWords), "seed");
  EXPECT_EQ(ClosestWord("keepbackup", kWords), "keep_backups");
  EXPECT_EQ(ClosestWord("sode", kWords), std::nullopt) << "half of the word";
}

TEST(ClosestWordTest, NeighboursThatAreSwappedAreOneLetter) {
  EXPECT_EQ(ClosestWord("trails", kWords), "trials");
  EXPECT_EQ(ClosestWord("sede", kWords), "seed");
  EXPECT_EQ(ClosestWord("form", kWords), "from");
  EXPECT_EQ(ClosestWord("keep_bcakpus", kWords), "keep_backups");
}

TEST(ClosestWordTest, GuessesNothingFarAway) {
  EXPECT_EQ(ClosestWord("window", kWords), std::nullopt);
  EXPECT_EQ(ClosestWord("keep_jobs", kWords), std::nullopt);
  EXPECT_EQ(ClosestWord("", kWords), std::nullopt);
  EXPECT_EQ(ClosestWord(std::string(1'000'000, 's'), kWords), std::nullopt);
  EXPECT_EQ(ClosestWord("seed", {}), std::nullopt);
}

}  // namespace
}  // namespace kiln
