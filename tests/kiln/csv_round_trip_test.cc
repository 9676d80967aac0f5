// Rows of all that may lie in a name, through a reader that was written apart.

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

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

// The characters of a line of text, each with the bytes that it has.
std::vector<std::string> CharactersOf(const std::string& utf8) {
  std::vector<std::string> characters;
  for (const char c : utf8) {
    const bool begins = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (begins) characters.emplace_back();
    characters.back() += c;
  }
  return characters;
}

std::string Trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

// The cells of a line of a table, whose rule says where its columns are.
std::vector<std::string> CellsOf(const std::string& line, const std::string& rule) {
  const std::vector<std::string> characters = CharactersOf(line);
  std::vector<std::string> cells(1);
  for (std::size_t i = 0; i < rule.size(); ++i) {
    if (rule[i] == ' ' && i > 0 && rule[i - 1] == '-') cells.emplace_back();
    if (rule[i] == '-' && i < characters.size()) cells.back() += characters[i];
  }
  for (std::string& cell : cells) cell = Trimmed(cell);
  return cells;
}

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// As CSV has what JSON has; members in their order.
std::string FieldOf(const nlohmann::ordered_json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value;
  if (!value.is_object()) return value.dump();
  std::string text;
  for (const auto& [name, label] : value.items()) {
    text += (text.empty() ? "" : " ") + name + "=" + label.get<std::string>();
  }
  return text;
}

TEST(CsvRoundTripTest, TableJsonAndCsvHaveTheSameRows) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Listing listing = RandomListing(seed).Make();
    const std::string table = PrintTable(listing), json = PrintJsonLines(listing);
    SCOPED_TRACE("seed " + std::to_string(seed) + ":\n" + table + json);
    const auto csv = ReadCsv(PrintCsv(listing));
    const std::vector<std::string> rows = LinesOf(table), objects = LinesOf(json);
    ASSERT_TRUE(csv);
    ASSERT_EQ(rows.size(), csv->size() + 1) << "heading and rule";
    ASSERT_EQ(objects.size(), csv->size() - 1);
    for (std::size_t i = 0; i < objects.size(); ++i) {
      const auto object = nlohmann::ordered_json::parse(objects[i]);
      const std::vector<std::string> cells = CellsOf(rows[i + 2], rows[1]);
      ASSERT_EQ(object.size(), csv->at(0).size());
      ASSERT_EQ(cells.size(), csv->at(0).size());
      for (std::size_t k = 0; k < cells.size(); ++k) {
        const nlohmann::ordered_json& value = object.at(csv->at(0)[k].value());
        const std::string field = csv->at(i + 1)[k].value_or("");
        if (value.is_number_float()) {
          EXPECT_EQ(std::strtod(field.c_str(), nullptr), value.get<double>());
        } else {
          EXPECT_EQ(field, FieldOf(value));
        }
        EXPECT_EQ(cells[k], value.is_null() ? "-" : Trimmed(EscapeControls(field)));
      }
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
