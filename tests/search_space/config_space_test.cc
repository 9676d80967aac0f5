#include "search_space/config_space.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/hash/hash.h"
#include "base/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

Constraint Rule(std::string reason, std::vector<std::string> knobs,
                std::function<bool(std::span<const std::int64_t>)> holds) {
  return {std::move(reason), std::move(knobs), std::move(holds)};
}

// A space like those of kernels: tiles, an order, an unroll factor.
std::vector<Knob> TileKnobs() {
  return {IntKnob("rows", {1, 2, 3, 4, 6, 8}), IntKnob("cols", {1, 2, 4}),
          ChoiceKnob("order", {"rc", "cr"}), IntKnob("unroll", {1, 2, 4, 8})};
}
std::vector<Constraint> TileRules() {
  return {Rule("the accumulators do not fit 12 registers", {"cols", "rows"},
               [](auto v) { return v[0] * v[1] <= 12; }),
          Rule("unrolling needs order rc", {"unroll", "order"},
               [](auto v) { return v[0] == 1 || v[1] == 0; }),
          Rule("rows must be even with four columns", {"rows", "cols"},
               [](auto v) { return v[1] != 4 || v[0] % 2 == 0; })};
}

// The definition: every combination, every rule.
std::vector<Config> BruteForce(const std::vector<Knob>& knobs,
                               const std::vector<Constraint>& rules) {
  std::vector<Config> legal;
  Config config{std::vector<std::uint16_t>(knobs.size())};
  for (;;) {
    const bool holds = std::ranges::all_of(rules, [&](const Constraint& rule) {
      std::vector<std::int64_t> values;
      for (const std::string& name : rule.knobs) {
        for (std::size_t k = 0; k < knobs.size(); ++k) {
          if (knobs[k].name == name) values.push_back(knobs[k].values[config.choice[k]].value);
        }
      }
      return rule.holds(values);
    });
    if (holds) legal.push_back(config);
    std::size_t k = knobs.size();
    while (k > 0 && ++config.choice[k - 1] == knobs[k - 1].values.size()) config.choice[--k] = 0;
    if (k == 0) return legal;
  }
}

ConfigSpace Made(std::vector<Knob> knobs, std::vector<Constraint> rules) {
  auto space = ConfigSpace::Create(std::move(knobs), std::move(rules));
  EXPECT_TRUE(space.ok()) << space.status();
  return space.ok() ? *space : ConfigSpace();
}

TEST(ConfigSpaceTest, WithoutKnobsHasOneConfig) {
  const ConfigSpace space;
  EXPECT_EQ(space.size(), 1u);
  EXPECT_EQ(space.At(0), Config{});
  EXPECT_TRUE(space.Contains(Config{}));
  EXPECT_EQ(Made({}, {}).size(), 1u);
}

TEST(ConfigSpaceTest, EnumeratesExactlyTheLegalConfigsInOrder) {
  const std::vector<Config> legal = BruteForce(TileKnobs(), TileRules());
  const ConfigSpace space = Made(TileKnobs(), TileRules());
  ASSERT_EQ(space.size(), legal.size());
  EXPECT_LT(space.size(), 6u * 3 * 2 * 4);
  for (std::uint64_t i = 0; i < space.size(); ++i) {
    EXPECT_EQ(space.At(i), legal[i]);
    EXPECT_EQ(space.IndexOf(legal[i]), i);
  }
}

TEST(ConfigSpaceTest, RandomSpacesAgreeWithBruteForce) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    std::vector<Knob> knobs;
    std::vector<std::string> names;
    for (std::int64_t k = rng.Between(1, 5); k > 0; --k) {
      std::vector<std::int64_t> values;
      for (std::int64_t v = rng.Between(1, 4); v > 0; --v) values.push_back(v * 3 % 7);
      names.push_back("k" + std::to_string(k));
      knobs.push_back(IntKnob(names.back(), values));
    }
    std::vector<Constraint> rules;
    for (std::int64_t r = rng.Between(0, 3); r > 0; --r) {
      const std::string &a = names[rng.Below(names.size())], &b = names[rng.Below(names.size())];
      const std::int64_t modulus = rng.Between(2, 4), rest = rng.Between(0, 1);
      rules.push_back(Rule("sum", {a, b}, [=](auto v) { return (v[0] + v[1]) % modulus != rest; }));
    }
    const std::vector<Config> legal = BruteForce(knobs, rules);
    const auto space = ConfigSpace::Create(knobs, rules);
    if (legal.empty()) {
      EXPECT_EQ(space.status().code(), StatusCode::kFailedPrecondition) << seed;
      continue;
    }
    ASSERT_TRUE(space.ok()) << space.status();
    std::vector<Config> found;
    for (std::uint64_t i = 0; i < space->size(); ++i) found.push_back(space->At(i));
    EXPECT_EQ(found, legal) << seed;
  }
}

TEST(ConfigSpaceTest, ContainsRefusesIllegalOutOfRangeAndForeignConfigs) {
  const ConfigSpace space = Made(TileKnobs(), TileRules());
  EXPECT_TRUE(space.Contains({{0, 0, 0, 0}}));
  EXPECT_FALSE(space.Contains({{5, 2, 0, 0}}));  // 32 accumulators
  EXPECT_FALSE(space.Contains({{0, 3, 0, 0}}));
  EXPECT_FALSE(space.Contains({{6, 0, 0, 0}}));
  EXPECT_FALSE(space.Contains({{0, 0, 0}}));
  EXPECT_FALSE(space.Contains({{0, 0, 0, 0, 0}}));
}

TEST(ConfigSpaceTest, SamplesAreLegalAndUniform) {
  const ConfigSpace space = Made(TileKnobs(), TileRules());
  Rng rng(7);
  std::map<std::uint64_t, int> counts;
  const int per_config = 1000;
  const int draws = per_config * static_cast<int>(space.size());
  for (int i = 0; i < draws; ++i) {
    const Config config = space.Sample(rng);
    ASSERT_TRUE(space.Contains(config));
    ++counts[space.IndexOf(config)];
  }
  EXPECT_EQ(counts.size(), space.size());
  for (const auto& [index, count] : counts) {
    EXPECT_NEAR(count, per_config, 6 * 32) << index;  // six standard deviations
  }
}

TEST(ConfigSpaceTest, NeighboursAreTheLegalConfigsThatDifferInOneKnob) {
  const ConfigSpace space = Made(TileKnobs(), TileRules());
  for (std::uint64_t i = 0; i < space.size(); ++i) {
    const Config config = space.At(i);
    std::set<Config> expected;
    for (std::uint64_t j = 0; j < space.size(); ++j) {
      const Config other = space.At(j);
      int differ = 0;
      for (std::size_t k = 0; k < 4; ++k) differ += other.choice[k] != config.choice[k];
      if (differ == 1) expected.insert(other);
    }
    const std::vector<Config> neighbours = space.Neighbours(config);
    EXPECT_EQ(std::set<Config>(neighbours.begin(), neighbours.end()), expected);
    EXPECT_EQ(neighbours.size(), expected.size()) << "without duplicates";
  }
}

TEST(ConfigSpaceTest, NearestAgreesWithMostKnobsThenIsNearestFromTheLeft) {
  const std::vector<Config> legal = BruteForce(TileKnobs(), TileRules());
  const ConfigSpace space = Made(TileKnobs(), TileRules());
  const auto rank = [](const Config& config, const Config& wish) {
    std::vector<int> keys(1);  // disagreements, then the distances from the left
    for (std::size_t k = 0; k < wish.choice.size(); ++k) {
      keys[0] += config.choice[k] != wish.choice[k];
      keys.push_back(std::abs(int{config.choice[k]} - int{wish.choice[k]}));
    }
    return keys;
  };
  for (std::uint16_t a = 0; a < 8; ++a) {  // beyond the values, too
    for (std::uint16_t b = 0; b < 4; ++b) {
      for (std::uint16_t c = 0; c < 2; ++c) {
        for (std::uint16_t d = 0; d < 5; ++d) {
          const Config wish{{a, b, c, d}};
          const Config best = *std::ranges::min_element(
              legal, {}, [&](const Config& config) { return rank(config, wish); });
          EXPECT_EQ(rank(space.Nearest(wish), wish), rank(best, wish));
        }
      }
    }
  }
}

TEST(ConfigSpaceTest, ValuesAndLabelsAreFoundByName) {
  const ConfigSpace space = Made(TileKnobs(), TileRules());
  const Config config{{4, 1, 0, 2}};
  EXPECT_EQ(space.Value(config, "rows"), 6);
  EXPECT_EQ(space.Value(config, "order"), 0);
  EXPECT_EQ(space.Label(config, "order"), "rc");
  EXPECT_THAT(space.Labels(config), ElementsAre(Pair("rows", "6"), Pair("cols", "2"),
                                                Pair("order", "rc"), Pair("unroll", "4")));
}

TEST(ConfigSpaceTest, LabelsComeBackInAnyOrder) {
  const ConfigSpace space = Made(TileKnobs(), TileRules());
  for (std::uint64_t i = 0; i < space.size(); ++i) {
    ConfigLabels labels = space.Labels(space.At(i));
    std::ranges::reverse(labels);
    const auto back = space.FromLabels(labels);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, space.At(i));
  }
}

TEST(ConfigSpaceTest, FromLabelsNamesWhatIsWrong) {
  const ConfigSpace space = Made(TileKnobs(), TileRules());
  const auto error = [&](ConfigLabels labels) { return space.FromLabels(labels).status(); };
  const Status knob = error({{"lanes", "4"}});
  EXPECT_EQ(knob.code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(knob), HasSubstr("'lanes'; there are rows, cols, order, unroll"));
  const Status label = error({{"cols", "5"}});
  EXPECT_EQ(label.code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(label), HasSubstr("'cols' has no value '5'; it has 1, 2, 4"));
  const Status missing = error({{"rows", "1"}, {"cols", "1"}, {"order", "rc"}});
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(missing), HasSubstr("'unroll'"));
  EXPECT_EQ(error({{"rows", "1"}, {"rows", "1"}}).code(), StatusCode::kInvalidArgument);
  const Status illegal = error({{"rows", "8"}, {"cols", "4"}, {"order", "cr"}, {"unroll", "2"}});
  EXPECT_EQ(illegal.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(illegal), HasSubstr("do not fit 12 registers; unrolling needs order rc"));
}

TEST(ConfigSpaceTest, IdDependsOnLabelsAlone) {
  const ConfigSpace space = Made(TileKnobs(), TileRules());
  const Config config{{4, 1, 0, 2}};
  EXPECT_EQ(space.Id(config), Hex(Digest("cols=2;order=rc;rows=6;unroll=4;")));

  std::vector<Knob> grown = TileKnobs();
  grown[0] = IntKnob("rows", {1, 5, 6});
  std::ranges::reverse(grown);
  const ConfigSpace other = Made(grown, {});
  EXPECT_EQ(other.Id(*other.FromLabels(space.Labels(config))), space.Id(config));

  std::set<std::string> ids;
  for (std::uint64_t i = 0; i < space.size(); ++i) ids.insert(space.Id(space.At(i)));
  EXPECT_EQ(ids.size(), space.size());
}

TEST(ConfigSpaceTest, ConfigsHashByChoice) {
  EXPECT_EQ(absl::Hash<Config>()(Config{{1, 2}}), absl::Hash<Config>()(Config{{1, 2}}));
  EXPECT_NE(absl::Hash<Config>()(Config{{1, 2}}), absl::Hash<Config>()(Config{{2, 1}}));
}

TEST(ConfigSpaceTest, EmptySpaceNamesTheRulesThatRemovedTheLastCandidates) {
  const auto space = ConfigSpace::Create(
      {IntKnob("a", {1, 2, 3}), IntKnob("b", {1, 2}), IntKnob("c", {1})},
      {Rule("a is one", {"a"}, [](auto v) { return v[0] != 1; }),
       Rule("the sum is four", {"a", "b"}, [](auto v) { return v[0] + v[1] != 4; }),
       Rule("the sum is odd", {"a", "b"}, [](auto v) { return (v[0] + v[1]) % 2 == 0; }),
       Rule("never checked", {"a", "c"}, [](auto) { return true; })});
  EXPECT_EQ(space.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(space.status()),
              HasSubstr("at knob 'b' the last candidates are illegal, because the sum is four (2 "
                        "candidates); the sum is odd (2 candidates)"));
  EXPECT_THAT(Message(space.status()), Not(HasSubstr("never checked")));
}

TEST(ConfigSpaceTest, MalformedKnobsAndRulesAreRefused) {
  const auto message = [](std::vector<Knob> knobs, std::vector<Constraint> rules = {}) {
    const Status status = ConfigSpace::Create(std::move(knobs), std::move(rules)).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    return Message(status);
  };
  const auto yes = [](std::span<const std::int64_t>) { return true; };
  EXPECT_THAT(message({IntKnob("a", {})}), HasSubstr("'a' has no values"));
  EXPECT_THAT(message({IntKnob("a", {1}), IntKnob("a", {2})}),
              HasSubstr("two knobs are named 'a'"));
  EXPECT_THAT(message({IntKnob("a", {1, 1})}), HasSubstr("label '1' twice"));
  EXPECT_THAT(message({IntKnob("", {1})}), HasSubstr("must not be empty"));
  EXPECT_THAT(message({ChoiceKnob("a", {"x;y"})}), HasSubstr("'x;y'"));
  EXPECT_THAT(message({IntKnob("a", {1})}, {Rule("r", {"b"}, yes)}),
              HasSubstr("'r' is over the knob 'b', which does not exist"));
  EXPECT_THAT(message({IntKnob("a", {1})}, {Rule("r", {}, yes)}), HasSubstr("'r' has no knobs"));
  EXPECT_THAT(message({IntKnob("a", {1})}, {Rule("r", {"a"}, nullptr)}),
              HasSubstr("'r' has no rule"));
}

// `count` knobs of ten values.
std::vector<Knob> TenWays(int count) {
  std::vector<Knob> knobs;
  for (int k = 0; k < count; ++k) {
    knobs.push_back(IntKnob("k" + std::to_string(k), {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  }
  return knobs;
}

TEST(ConfigSpaceTest, TooLargeSpacesAreRefusedBeforeTheyCostMuch) {
  const Status large = ConfigSpace::Create(TenWays(7), {}).status();
  EXPECT_EQ(large.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(large), HasSubstr("more than 4194304 legal configs (of 10000000"));

  const Status barren =
      ConfigSpace::Create(TenWays(12), {Rule("late", {"k11"}, [](auto) { return false; })})
          .status();
  EXPECT_EQ(barren.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(barren), HasSubstr("more than 67108864 partial configs"));

  const Status endless = ConfigSpace::Create(TenWays(20), {}).status();
  EXPECT_THAT(Message(endless), HasSubstr("more than 2^64 combinations"));
}

TEST(ConfigSpaceTest, AMillionLegalConfigsAreNumbered) {
  const ConfigSpace space =
      Made(TenWays(7),
           {Rule("not a tenth", {"k0", "k6"}, [](auto v) { return v[0] == (v[1] + 3) % 10; })});
  EXPECT_EQ(space.size(), 1'000'000u);
  for (std::uint64_t i = 0; i < space.size(); i += 9973) EXPECT_EQ(space.IndexOf(space.At(i)), i);
  EXPECT_TRUE(space.Contains(space.Nearest({{1, 2, 3, 4, 5, 6, 7}})));
}

}  // namespace
}  // namespace kiln
