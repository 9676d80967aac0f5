#include "search_space/pair_cover.h"

#include <set>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln {
namespace {

using LabelPairs = std::set<std::pair<std::string, std::string>>;

// A space like those of kernels: most combinations are illegal, and label `row` of `vec` occurs in
// one config in thirty.
ConfigSpace Space() {
  const std::vector<Knob> knobs = {
      IntKnob("rows", {1, 2, 3, 4, 6, 8}), IntKnob("cols", {1, 2, 4, 8, 14}),
      ChoiceKnob("vec", {"inline", "row", "shift"}), ChoiceKnob("order", {"inner", "outer"}),
      IntKnob("unroll", {1, 2, 4, 8})};
  const std::vector<Constraint> rules = {
      {"the accumulators do not fit", {"rows", "cols"}, [](auto v) { return v[0] * v[1] <= 16; }},
      {"operands fit in rows of one column only",
       {"rows", "cols", "vec"},
       [](auto v) { return v[2] != 1 || (v[0] > 4 && v[1] == 1); }},
      {"unrolling needs order inner", {"order", "unroll"}, [](auto v) {
         return v[0] == 0 || v[1] == 1;
       }}};
  return *ConfigSpace::Create(knobs, rules);
}

std::string Word(const ConfigSpace& space, std::size_t knob, std::size_t choice) {
  return space.knobs()[knob].name + "=" + space.knobs()[knob].values[choice].label;
}

LabelPairs PairsOf(const ConfigSpace& space, const std::vector<Config>& configs) {
  LabelPairs pairs;
  for (const Config& config : configs) {
    for (std::size_t a = 0; a < config.choice.size(); ++a) {
      for (std::size_t b = a + 1; b < config.choice.size(); ++b)
        pairs.emplace(Word(space, a, config.choice[a]), Word(space, b, config.choice[b]));
    }
  }
  return pairs;
}

std::vector<Config> All(const ConfigSpace& space) {
  std::vector<Config> configs;
  for (std::uint64_t i = 0; i < space.size(); ++i) configs.push_back(space.At(i));
  return configs;
}

TEST(PairCoverTest, EveryPairOfLabelsThatIsLegalOccurs) {
  const ConfigSpace space = Space();
  const LabelPairs legal = PairsOf(space, All(space));
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const PairCover cover = CoverPairs(space, 1000, Rng(seed));
    EXPECT_EQ(PairsOf(space, cover.configs), legal);
    EXPECT_EQ(cover.pairs, legal.size());
    EXPECT_TRUE(cover.left.empty());
  }
}

TEST(PairCoverTest, ConfigsAreLegalDifferentAndFew) {
  const ConfigSpace space = Space();
  const PairCover cover = CoverPairs(space, 1000, Rng(1));
  for (const Config& config : cover.configs) EXPECT_TRUE(space.Contains(config));
  EXPECT_EQ(std::set<Config>(cover.configs.begin(), cover.configs.end()).size(),
            cover.configs.size());
  // Six rows by five columns less those that are illegal need 18, whatever the others.
  EXPECT_LE(cover.configs.size(), 40u);
  EXPECT_EQ(space.size(), 200u);
}

TEST(PairCoverTest, ASeedGivesTheSameConfigsAndAnotherOnesOthers) {
  const ConfigSpace space = Space();
  const auto configs = [&](std::uint64_t seed) {
    return CoverPairs(space, 1000, Rng(seed)).configs;
  };
  EXPECT_EQ(configs(3), configs(3));
  EXPECT_NE(configs(3), configs(4));
}

TEST(PairCoverTest, TooFewConfigsSayWhichPairsAreLeft) {
  const ConfigSpace space = Space();
  const PairCover cover = CoverPairs(space, 5, Rng(1));
  EXPECT_EQ(cover.configs.size(), 5u);
  LabelPairs pairs = PairsOf(space, cover.configs);
  EXPECT_EQ(pairs.size() + cover.left.size(), cover.pairs);
  for (const ChoicePair& pair : cover.left) {
    EXPECT_TRUE(pairs
                    .emplace(Word(space, pair.first_knob, pair.first_choice),
                             Word(space, pair.second_knob, pair.second_choice))
                    .second);
  }
  EXPECT_EQ(pairs, PairsOf(space, All(space)));
}

TEST(PairCoverTest, RarePairsComeFirst) {
  const ConfigSpace space = Space();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const PairCover cover = CoverPairs(space, 6, Rng(seed));
    EXPECT_TRUE(std::ranges::any_of(
        cover.configs, [&](const Config& config) { return space.Label(config, "vec") == "row"; }));
  }
}

TEST(PairCoverTest, OneKnobIsCoveredChoiceByChoice) {
  const ConfigSpace space = *ConfigSpace::Create({IntKnob("rows", {1, 2, 3})}, {});
  EXPECT_EQ(CoverPairs(space, 10, Rng(0)).configs.size(), 3u);
  EXPECT_EQ(CoverPairs(space, 2, Rng(0)).left.size(), 1u);
}

TEST(PairCoverTest, WithoutKnobsThereIsOneConfig) {
  const PairCover cover = CoverPairs(ConfigSpace(), 10, Rng(0));
  EXPECT_EQ(cover.configs, std::vector<Config>{Config{}});
  EXPECT_EQ(cover.pairs, 0u);
}

}  // namespace
}  // namespace kiln
