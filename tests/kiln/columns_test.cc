#include "apps/kiln/columns.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct Bird {
  std::string name;
  std::int64_t eggs = 0;
  std::optional<double> weight_g = {};
  bool sings = false;
};

const std::vector<Column<Bird>>& BirdColumns() {
  static const std::vector<Column<Bird>> columns = {
      {{"name", "bird", Table::Align::kLeft}, [](const Bird& b) { return Cell{b.name}; }},
      {{"eggs", "eggs"}, [](const Bird& b) { return Cell{b.eggs}; }},
      {{"weight_g", "kg"},
       [](const Bird& b) {
         return OptionalCell(b.weight_g, b.weight_g ? std::to_string(*b.weight_g / 1000) : "");
       }},
      {{"sings", "sings", Table::Align::kLeft}, [](const Bird& b) {
         return Cell{b.sings, b.sings ? "yes" : "-"};
       }}};
  return columns;
}

const std::vector<Bird> kBirds = {{"owl", 4, 300.0, false},
                                  {"wren, \"king\"", 6, 9.5, true},
                                  {"Kuckuck\nmäßig", 1, std::nullopt, true},
                                  {"fink", 6, 25.0, true}};

Listing Birds() { return MakeListing(BirdColumns(), kBirds); }

// The names in a listing that was sorted, cut and had its columns chosen.
std::vector<std::string> Names(const ListingOptions& options) {
  const StatusOr<Listing> listing = ArrangeListing(Birds(), options, "");
  EXPECT_TRUE(listing.ok()) << listing.status();
  std::vector<std::string> names;
  for (const auto& row : listing->rows) names.push_back(std::get<std::string>(row[0].value));
  return names;
}

std::vector<std::string> HeadNames(const ListingOptions& options, const std::string& shown = "") {
  const StatusOr<Listing> listing = ArrangeListing(Birds(), options, shown);
  EXPECT_TRUE(listing.ok()) << listing.status();
  std::vector<std::string> names;
  for (const ColumnHead& head : listing->heads) names.push_back(head.name);
  return names;
}

TEST(ColumnsTest, JsonHasTheTypesOfTheValues) {
  std::istringstream lines(PrintJsonLines(Birds()));
  std::vector<nlohmann::json> objects;
  for (std::string line; std::getline(lines, line);) objects.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(objects.size(), kBirds.size());
  for (std::size_t i = 0; i < objects.size(); ++i) {
    EXPECT_EQ(objects[i]["name"], kBirds[i].name);
    EXPECT_EQ(objects[i]["eggs"], kBirds[i].eggs);
    EXPECT_EQ(objects[i]["sings"], kBirds[i].sings);
    EXPECT_TRUE(objects[i]["sings"].is_boolean());
    EXPECT_EQ(objects[i]["weight_g"].is_null(), !kBirds[i].weight_g);
    EXPECT_EQ(objects[i]["weight_g"].is_null() ? 0 : objects[i]["weight_g"].get<double>(),
              kBirds[i].weight_g.value_or(0));
  }
}

TEST(ColumnsTest, KnobsAreAnObject) {
  const Listing listing{.heads = {{"config", "knobs"}},
                        .rows = {{{CellMembers{{"tile", "2x4"}, {"order", "rc"}}}}}};
  EXPECT_EQ(PrintJsonLines(listing), "{\"config\":{\"tile\":\"2x4\",\"order\":\"rc\"}}\n");
  EXPECT_EQ(PrintCsv(listing), "config\ntile=2x4 order=rc\n");
}

TEST(ColumnsTest, NamesThatAreNoUtf8AreStillJson) {
  const Listing listing{.heads = {{"name", "name"}}, .rows = {{{std::string("\xff\xfe")}}}};
  EXPECT_FALSE(nlohmann::json::parse(PrintJsonLines(listing), nullptr, false).is_discarded());
}

TEST(ColumnsTest, TheTableShowsTextForPeopleAndADashForNothing) {
  EXPECT_EQ(PrintTable(Birds()),
            "bird            eggs        kg  sings\n"
            "--------------  ----  --------  -----\n"
            "owl                4  0.300000  -\n"
            "wren, \"king\"       6  0.009500  yes\n"
            "Kuckuck\\nmäßig     1         -  yes\n"
            "fink               6  0.025000  yes\n");
}

TEST(ColumnsTest, SortsByValueNotByTextAndPutsTheUnknownLast) {
  EXPECT_THAT(Names({.sort = "weight_g"}),
              ElementsAre("wren, \"king\"", "fink", "owl", "Kuckuck\nmäßig"));
  EXPECT_THAT(Names({.sort = "-weight_g"}),
              ElementsAre("owl", "fink", "wren, \"king\"", "Kuckuck\nmäßig"));
  EXPECT_THAT(Names({.sort = "-name"}),
              ElementsAre("wren, \"king\"", "owl", "fink", "Kuckuck\nmäßig"));
  EXPECT_THAT(Names({.sort = "sings"}).front(), "owl") << "false is less than true";
}

TEST(ColumnsTest, EqualRowsStayInOrderInEitherDirection) {
  EXPECT_THAT(Names({.sort = "-eggs"}),
              ElementsAre("wren, \"king\"", "fink", "owl", "Kuckuck\nmäßig"));
  EXPECT_THAT(Names({.sort = "eggs"}),
              ElementsAre("Kuckuck\nmäßig", "owl", "wren, \"king\"", "fink"));
}

TEST(ColumnsTest, TheLimitCutsWhatWasSorted) {
  EXPECT_THAT(Names({.sort = "-eggs", .limit = 2}), ElementsAre("wren, \"king\"", "fink"));
  EXPECT_THAT(Names({.limit = 1}), ElementsAre("owl"));
  EXPECT_THAT(Names({.limit = 99}), testing::SizeIs(4));
}

TEST(ColumnsTest, ColumnsAreThoseOfTheUserElseThoseOfTheCommand) {
  EXPECT_THAT(HeadNames({}), ElementsAre("name", "eggs", "weight_g", "sings"));
  EXPECT_THAT(HeadNames({}, "sings,name"), ElementsAre("sings", "name"));
  EXPECT_THAT(HeadNames({.columns = "eggs"}, "sings,name"), ElementsAre("eggs"));
  EXPECT_THAT(HeadNames({.columns = "KG,Bird"}), ElementsAre("weight_g", "name"))
      << "as the table calls them";
}

TEST(ColumnsTest, SortsByAColumnThatIsNotShown) {
  const auto listing = ArrangeListing(Birds(), {.columns = "name", .sort = "weight_g"}, "");
  ASSERT_TRUE(listing.ok());
  ASSERT_EQ(listing->rows[0].size(), 1u);
  EXPECT_EQ(std::get<std::string>(listing->rows[0][0].value), "wren, \"king\"");
}

TEST(ColumnsTest, AnUnknownColumnListsTheKnown) {
  for (const ListingOptions& options :
       {ListingOptions{.sort = "wings"}, {.sort = "-wings"}, {.columns = "name,wings"}}) {
    const Status status = ArrangeListing(Birds(), options, "").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(Message(status), "no column `wings`; there are name, eggs, weight_g, sings");
  }
  for (const char* columns : {"name,name", "name,bird", "name,,eggs", ",", "name,"}) {
    EXPECT_FALSE(ArrangeListing(Birds(), {.columns = columns}, "").ok()) << columns;
  }
}

TEST(ColumnsTest, WithoutRowsThereIsAHeadingForPeopleAndCsvAndNothingForJson) {
  const Listing none = MakeListing(BirdColumns(), std::vector<Bird>());
  EXPECT_EQ(PrintCsv(none), "name,eggs,weight_g,sings\n");
  EXPECT_THAT(PrintJsonLines(none), IsEmpty());
  EXPECT_THAT(PrintTable(none), HasSubstr("bird"));
}

TEST(ColumnsTest, TheHelpNamesEveryColumnInShortLines) {
  std::vector<ColumnHead> heads;
  for (int i = 0; i < 40; ++i) heads.push_back({"column_" + std::to_string(i), "c"});
  const std::string text = DescribeColumns(heads);
  for (const ColumnHead& head : heads) EXPECT_THAT(text, HasSubstr(" " + head.name));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_THAT(text, Not(testing::EndsWith(",\n")));
}

}  // namespace
}  // namespace kiln
