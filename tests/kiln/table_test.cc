#include "apps/kiln/table.h"

#include <gmock/gmock.h>

#include <sstream>

namespace kiln {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCharactersNotBytes) {
  Table table({{"name", Table::Align::kLeft}, {"µs"}});
  table.Add({"größe", "1"});
  table.Add({"x", "12345"});
  EXPECT_EQ(table.Print(),
            "name      µs\n"
            "-----  -----\n"
            "größe      1\n"
            "x      12345\n");
}

TEST(TableTest, MissingCellsAreEmpty) {
  Table table({{"a", Table::Align::kLeft}, {"b", Table::Align::kLeft}});
  table.Add({"1"});
  EXPECT_EQ(table.Print(), "a  b\n-  -\n1\n");
}

// A device's name comes from another machine.
TEST(TableTest, ACellNeitherBreaksALineNorSpeaksToTheTerminal) {
  Table table({{"name", Table::Align::kLeft}});
  table.Add({"a\nb\r\t\x1b[2J\x7f"});
  const std::string text = table.Print();
  EXPECT_EQ(std::ranges::count(text, '\n'), 3);
  EXPECT_THAT(text, testing::HasSubstr("a\\nb\\r\\t\\x1b[2J\\x7f"));
  EXPECT_EQ(EscapeControls("Käse"), "Käse");
}

}  // namespace
}  // namespace kiln
