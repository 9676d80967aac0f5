// Rows of all that may lie in a name, through a reader that was written apart.

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "apps/kiln/columns.h"
#include "base/rng.h"
#include "tests/kiln/csv_reader.h"

namespace kiln {
namespace {

using testing::ElementsAre;

constexpr int kSeeds = 300;

class RandomListing {
 public:
  explicit RandomListing(std::uint64_t seed) : rng_(seed) {}

  Listing Make() {
    Listing listing;
    const std::uint64_t columns = 1 + Below(5), rows = Below(8);
    for (std::uint64_t i = 0; i < columns; ++i) {
      listing.heads.push_back({std::to_string(i) + Text(), "title"});
    }
    for (std::uint64_t i = 0; i < rows; ++i) {
      std::vector<Cell>& row = listing.rows.emplace_back();
      for (std::uint64_t k = 0; k < columns; ++k) row.push_back({Value()});
    }
    return listing;
  }

 private:
  std::uint64_t Below(std::uint64_t end) { return rng_.Next() % end; }

  std::string Text() {
    static const std::vector<std::string> parts = {",",  "\"", "\n", "\r\n",  "\r", " ",
                                                   "\t", "a",  "ü",  "Ärger", "€",  "\\",
                                                   ";",  "'",  "=",  "\"\""};
    std::string text;
    for (std::uint64_t i = Below(6); i > 0; --i) text += parts[Below(parts.size())];
    return text;
  }

  double Number() {
    static const std::vector<double> odd = {
        0.0, -0.0, 1e-300, 1.7976931348623157e308, 0.1, 1e21, -1.5, 5e-324, 1e15, 123.456};
    return Below(2) == 0 ? odd[Below(odd.size())] : std::ldexp(double(rng_.Next() >> 11), -30);
  }

  CellValue Value() {
    switch (Below(6)) {
      case 0:
        return {};
      case 1:
        return Below(2) == 0;
      case 2:
        return static_cast<std::int64_t>(rng_.Next());
      case 3:
        return Number();
      case 4:
        return CellMembers{{"tile", Text()}, {"order", "rc"}};
      default:
        return Text();
    }
  }

  Rng rng_;
};

// What a reader must find for a value.
void ExpectField(const CellValue& value, const CsvField& field) {
  if (std::holds_alternative<std::monostate>(value)) {
    EXPECT_EQ(field.value_or(""), "");
    return;
  }
  ASSERT_TRUE(field) << "something became nothing";
  if (const auto* text = std::get_if<std::string>(&value)) {
    EXPECT_EQ(*field, *text);
  } else if (const auto* truth = std::get_if<bool>(&value)) {
    EXPECT_EQ(*field, *truth ? "true" : "false");
  } else if (const auto* whole = std::get_if<std::int64_t>(&value)) {
    EXPECT_EQ(std::stoll(*field), *whole);
  } else if (const auto* number = std::get_if<double>(&value)) {
    EXPECT_EQ(std::strtod(field->c_str(), nullptr), *number) << "a digit was lost";
  } else {
    EXPECT_EQ(*field, "tile=" + std::get<CellMembers>(value)[0].second + " order=rc");
  }
}

TEST(CsvRoundTripTest, RandomRowsComeBackAsTheyWere) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Listing listing = RandomListing(seed).Make();
    const std::string csv = PrintCsv(listing);
    SCOPED_TRACE("seed " + std::to_string(seed) + ":\n" + csv);
    const auto lines = ReadCsv(csv);
    ASSERT_TRUE(lines);
    ASSERT_EQ(lines->size(), listing.rows.size() + 1);
    for (std::size_t k = 0; k < listing.heads.size(); ++k) {
      EXPECT_EQ(lines->at(0).at(k).value_or(""), listing.heads[k].name);
    }
    for (std::size_t i = 0; i < listing.rows.size(); ++i) {
      const std::vector<CsvField>& line = lines->at(i + 1);
      ASSERT_EQ(line.size(), listing.rows[i].size());
      for (std::size_t k = 0; k < line.size(); ++k) ExpectField(listing.rows[i][k].value, line[k]);
    }
  }
}

TEST(CsvRoundTripTest, NothingAndNumbersThatAreNoneAreEmptyFields) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const Listing listing{.heads = {{"a", "a"}, {"b", "b"}, {"c", "c"}, {"d", "d"}},
                        .rows = {{{CellValue()}, {nan}, {inf}, {std::string()}}}};
  EXPECT_EQ(PrintCsv(listing), "a,b,c,d\n,,,\"\"\n");
}

// The reader must be able to refuse, or it proves nothing.
TEST(CsvReaderTest, WhatIsNoCsvIsRefused) {
  EXPECT_EQ(ReadCsv("a,b\n1\n"), std::nullopt);
  EXPECT_EQ(ReadCsv("a\n\"1\n"), std::nullopt);
  EXPECT_EQ(ReadCsv("a\n1\"\n"), std::nullopt);
  EXPECT_EQ(ReadCsv("a\n\"1\"2\n"), std::nullopt);
  EXPECT_EQ(ReadCsv("a"), std::nullopt);
  const auto lines = ReadCsv("a,\"b \"\"c\"\"\"\r\n,\"x,\ny\"\n");
  ASSERT_TRUE(lines);
  EXPECT_THAT(lines->at(0), ElementsAre("a", "b \"c\""));
  EXPECT_THAT(lines->at(1), ElementsAre(std::nullopt, "x,\ny"));
}

}  // namespace
}  // namespace kiln
