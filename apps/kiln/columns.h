#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "apps/kiln/table.h"
#include "base/status.h"

// Listings that people and programs read. A command describes its columns once, as a vector of
// Column; the table for people, the JSON lines and the CSV are all made of that, so that none can
// lack or misspell what another has.
//
//   rows of the command --MakeListing--> Listing --ArrangeListing--> sorted, cut, columns chosen
//     --> PrintTable | PrintJsonLines | PrintCsv

namespace CLI {
class App;
}  // namespace CLI

namespace kiln {

// What programs get of a cell: nothing (null; it is not known), a number in the unit that the
// column's name says, a text, or named texts (the knobs of a config).
using CellMembers = std::vector<std::pair<std::string, std::string>>;
using CellValue =
    std::variant<std::monostate, bool, std::int64_t, double, std::string, CellMembers>;

struct Cell {
  CellValue value;
  std::string text = {};  // for people; empty: the value, "-" for nothing
};

// nullopt is nothing.
Cell OptionalCell(const std::optional<double>& value, std::string text);

struct ColumnHead {
  std::string name;   // of the JSON member and the CSV column; with its unit
  std::string title;  // above it in the table
  Table::Align align = Table::Align::kRight;
};

// One column of a listing of rows.
template <typename Row>
struct Column {
  ColumnHead head;
  std::function<Cell(const Row&)> cell;
};

// Rows that are ready to be shown, one cell for each head.
struct Listing {
  std::vector<ColumnHead> heads;
  std::vector<std::vector<Cell>> rows;
};

template <typename Row>
std::vector<ColumnHead> HeadsOf(const std::vector<Column<Row>>& columns) {
  std::vector<ColumnHead> heads;
  for (const Column<Row>& column : columns) heads.push_back(column.head);
  return heads;
}

template <typename Row>
Listing MakeListing(const std::vector<Column<Row>>& columns, const std::vector<Row>& rows) {
  Listing listing{.heads = HeadsOf(columns), .rows = {}};
  for (const Row& row : rows) {
    std::vector<Cell>& cells = listing.rows.emplace_back();
    for (const Column<Row>& column : columns) cells.push_back(column.cell(row));
  }
  return listing;
}

// How a user wants to see a listing.
struct ListingOptions {
  std::string columns;  // their names, with commas between; empty: those that the command shows
  std::string sort;     // a name, the largest first behind a '-'; empty: as they come
  std::optional<std::int64_t> limit;
  bool json = false, csv = false;
};

// --columns, --sort, --limit, --json, --csv. A column that is not there is a usage error.
void AddListingOptions(CLI::App& command, const std::vector<ColumnHead>& heads,
                       ListingOptions& options);

// The position of the column with this name, or else with this title, in any case of letters.
// kInvalidArgument lists the names.
StatusOr<std::size_t> FindColumn(const std::vector<ColumnHead>& heads, const std::string& word);

// Sorts, cuts off what is beyond the limit, then chooses and orders the columns: those of the
// options, else `shown` (names with commas; empty: all). Rows that are equal in the column stay in
// order; what is not known comes last in either direction. kInvalidArgument: FindColumn's.
StatusOr<Listing> ArrangeListing(Listing listing, const ListingOptions& options,
                                 const std::string& shown);

// For people: a table.
std::string PrintTable(const Listing& listing);

// One object per line. Bytes that are no UTF-8 are replaced.
std::string PrintJsonLines(const Listing& listing);

// RFC 4180 but for the ends of lines, which are "\n" as in all our output: a line of names, then the
// rows; fields with commas, quotes, line breaks or spaces at an end are quoted. Numbers are as in
// JSON; nothing is an empty field, an empty text is "".
std::string PrintCsv(const Listing& listing);

// Writes it to standard output as the options say; a table has the columns `shown`.
Status WriteListing(Listing listing, const ListingOptions& options, const std::string& shown);

// "Columns: name, name, ..." in lines for a help's footer.
std::string DescribeColumns(const std::vector<ColumnHead>& heads);

}  // namespace kiln
