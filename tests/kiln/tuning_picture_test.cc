#include "apps/kiln/tuning_picture.h"

#include <gmock/gmock.h>

#include <limits>
#include <utility>

namespace kiln {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr double kNone = std::numeric_limits<double>::infinity();

TuningPicture::Row RowOf(const std::string& layer, double weight) {
  return {.layer = layer,
          .count = 2,
          .weight = weight,
          .trials = 40,
          .first_ns = 3000,
          .best_ns = 1500,
          .gops = 120.5,
          .share = 0.25,
          .curve = {3000, 2000, 1500}};
}

TuningPicture PictureOf(std::size_t rows) {
  TuningPicture picture{.progress = "0/3 tasks  7 trials of 99"};
  for (std::size_t i = 0; i < rows; ++i) {
    picture.rows.push_back(RowOf("layer " + std::to_string(i), static_cast<double>(i % 7)));
  }
  return picture;
}

TEST(TuningPictureTest, ARowSaysHowFarItsLayerIs) {
  TuningPicture picture = PictureOf(1);
  picture.rows[0].state = TuningPicture::State::kTunes;
  picture.rows[0].failed = 3;
  const auto lines = DrawTuning(picture, {});
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_THAT(lines[1], AllOf(StartsWith("layer 0  x2      40      1.50    120.5   25%  2.00x"),
                              HasSubstr("tuning, 3 failed")));
  EXPECT_EQ(lines[2], "0/3 tasks  7 trials of 99  | all layers 0.003 ms");
}

TEST(TuningPictureTest, WhatHasNoTimeYetSaysSo) {
  TuningPicture picture = PictureOf(2);
  picture.rows[1] = {.layer = "new"};
  const auto lines = DrawTuning(picture, {});
  EXPECT_THAT(lines[2], AllOf(StartsWith("new"), HasSubstr(" - ")));
  EXPECT_THAT(lines.back(), HasSubstr("(1 of 2 have a time)"));
  EXPECT_THAT(DrawTuning({.progress = "p", .rows = {{.layer = "new"}}}, {}).back(),
              HasSubstr("no time yet"));
}

// Rows that jumped could not be read.
TEST(TuningPictureTest, WhereThereIsNoRoomTheSameLayersStayInTheSameOrder) {
  TuningPicture picture = PictureOf(60);
  const auto before = DrawTuning(picture, {.columns = 80, .rows = 24});
  EXPECT_THAT(before, SizeIs(23)) << "and one for the cursor";
  EXPECT_THAT(before, Contains(HasSubstr("and 40 smaller layers: 1600 trials")));
  for (TuningPicture::Row& row : picture.rows) row.best_ns = 7, row.trials = 1;
  const auto after = DrawTuning(picture, {.columns = 80, .rows = 24});
  ASSERT_EQ(after.size(), before.size());
  int last = -1;
  for (std::size_t i = 1; i + 2 < after.size(); ++i) {
    const auto layer = [](const std::string& line) { return std::stoi(line.substr(6)); };
    EXPECT_EQ(layer(before[i]), layer(after[i]));
    EXPECT_LT(std::exchange(last, layer(after[i])), layer(after[i]));
  }
}

TEST(TuningPictureTest, StylesAndBlocksAreLeftOutWhereTheyAreNotWanted) {
  TuningPicture picture = PictureOf(1);
  picture.rows[0].state = TuningPicture::State::kTunes;
  EXPECT_THAT(DrawTuning(picture, {}), Each(Not(HasSubstr("\033"))));
  EXPECT_THAT(DrawTuning(picture, {.styles = true})[1], HasSubstr("\033[1m"));
  for (const std::string& line : DrawTuning(picture, {})) {
    for (const char c : line) EXPECT_TRUE(c >= ' ' && c < 127) << line;
  }
  EXPECT_THAT(DrawTuning(picture, {.unicode = true})[1], HasSubstr("█"));
}

TEST(SparklineTest, HigherIsFasterAndTheLastIsTheBest) {
  EXPECT_EQ(Sparkline({700, 350, 175, 100}, 12, false), ".,=#");
  EXPECT_EQ(Sparkline({kNone, 100}, 12, false), "_#");
  EXPECT_EQ(Sparkline({kNone, kNone}, 12, false), "__");
  EXPECT_EQ(Sparkline({5}, 12, true), "");
  EXPECT_EQ(Sparkline({}, 12, true), "");
  EXPECT_EQ(Sparkline(std::vector<double>(1000, 3), 12, false), "############");
}

TEST(CutOffTest, CountsCharactersAndNotBytesOrStyles) {
  EXPECT_EQ(CutOff("abcdef", 4), "abcd");
  EXPECT_EQ(CutOff("▁▂▃▄", 2), "▁▂");
  EXPECT_EQ(CutOff("\033[1mabcdef\033[0m", 3), "\033[1mabc\033[0m") << "styles end all the same";
  EXPECT_EQ(CutOff("ab", 5), "ab");
  EXPECT_EQ(CutOff("a\xff\xfe", 2), "a\xff");
}

}  // namespace
}  // namespace kiln
