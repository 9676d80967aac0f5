#include "apps/kiln/columns.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/command_line/command_line.h"
#include "base/standard_streams.h"

namespace kiln {
namespace {

// In the order of the description, as the CSV has them.
using Json = nlohmann::ordered_json;

template <typename... Cases>
struct OnValue : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
OnValue(Cases...) -> OnValue<Cases...>;

bool IsUnknown(const CellValue& value) {
  const auto* number = std::get_if<double>(&value);
  return std::holds_alternative<std::monostate>(value) ||
         (number != nullptr && !std::isfinite(*number));  // JSON has no such numbers
}

std::string TextOf(const CellMembers& members) {
  std::string text;
  for (const auto& [name, value] : members) {
    text += (text.empty() ? "" : " ") + name + "=" + value;
  }
  return text;
}

// As CSV has it, unquoted.
std::string TextOf(const CellValue& value) {
  if (IsUnknown(value)) return "";
  return std::visit(OnValue{[](std::monostate) { return std::string(); },
                            [](const std::string& text) { return text; },
                            [](const CellMembers& members) { return TextOf(members); },
                            [](auto number) { return fmt::format("{}", number); }},
                    value);
}

Json JsonOf(const CellValue& value) {
  if (IsUnknown(value)) return nullptr;
  return std::visit(OnValue{[](std::monostate) { return Json(); },
                            [](const CellMembers& members) {
                              Json object = Json::object();
                              for (const auto& [name, text] : members) object[name] = text;
                              return object;
                            },
                            [](const auto& plain) { return Json(plain); }},
                    value);
}

std::optional<double> NumberOf(const CellValue& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? 1 : 0;
  return std::nullopt;
}

bool IsLess(const CellValue& a, const CellValue& b) {
  const std::optional<double> x = NumberOf(a), y = NumberOf(b);
  if (x && y) return *x < *y;
  return TextOf(a) < TextOf(b);
}

bool IsSame(const std::string& a, const std::string& b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::vector<std::string> SplitAtCommas(const std::string& list) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    words.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

StatusOr<std::vector<std::size_t>> FindColumns(const std::vector<ColumnHead>& heads,
                                               const std::string& list) {
  std::vector<std::size_t> found;
  for (const std::string& word : SplitAtCommas(list)) {
    ASSIGN_OR_RETURN(const std::size_t column, FindColumn(heads, word));
    if (std::ranges::count(found, column) > 0) {
      return Error(StatusCode::kInvalidArgument, "the column `", word, "` is there twice");
    }
    found.push_back(column);
  }
  return found;
}

bool IsDescending(const std::string& sort) { return sort.starts_with('-'); }

std::string SortName(const std::string& sort) { return sort.substr(IsDescending(sort) ? 1 : 0); }

Status Sort(Listing& listing, const std::string& by) {
  ASSIGN_OR_RETURN(const std::size_t column, FindColumn(listing.heads, SortName(by)));
  const bool descending = IsDescending(by);
  std::ranges::stable_sort(listing.rows, [&](const auto& row, const auto& other) {
    const CellValue &a = row[column].value, &b = other[column].value;
    if (IsUnknown(a) || IsUnknown(b)) return !IsUnknown(a) && IsUnknown(b);
    return descending ? IsLess(b, a) : IsLess(a, b);
  });
  return {};
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string CsvField(const CellValue& value) {
  const std::string text = TextOf(value);
  if (text.empty()) return IsUnknown(value) ? "" : "\"\"";
  const bool is_plain = text.find_first_of(",\"\r\n") == std::string::npos && text.front() != ' ' &&
                        text.back() != ' ';
  return is_plain ? text : Quoted(text);
}

// A line of one empty field would be an empty line, which readers take for none.
std::string CsvLine(const std::vector<std::string>& fields) {
  if (fields.size() == 1 && fields[0].empty()) return "\"\"\n";
  std::string line;
  for (const std::string& field : fields) line += (&field == fields.data() ? "" : ",") + field;
  return line + "\n";
}

}  // namespace

Cell OptionalCell(const std::optional<double>& value, std::string text) {
  return {value ? CellValue(*value) : CellValue(), std::move(text)};
}

StatusOr<std::size_t> FindColumn(const std::vector<ColumnHead>& heads, const std::string& word) {
  for (std::size_t i = 0; i < heads.size(); ++i) {
    if (heads[i].name == word) return i;
  }
  for (std::size_t i = 0; i < heads.size(); ++i) {
    if (IsSame(heads[i].title, word) || IsSame(heads[i].name, word)) return i;
  }
  std::string names;
  for (const ColumnHead& head : heads) names += (names.empty() ? "" : ", ") + head.name;
  return Error(StatusCode::kInvalidArgument, "no column `", word, "`; there are ", names);
}

void AddListingOptions(CLI::App& command, const std::vector<ColumnHead>& heads,
                       ListingOptions& options) {
  command.add_option("--columns", options.columns, "these columns in this order; see below")
      ->check(
          [heads](const std::string& list) { return Message(FindColumns(heads, list).status()); })
      ->type_name("NAME,...");
  command
      .add_option("--sort", options.sort,
                  "by this column, the smallest first; behind a -, the largest first")
      ->check([heads](const std::string& by) {
        return Message(FindColumn(heads, SortName(by)).status());
      })
      ->type_name("[-]NAME");
  AddNumber<std::int64_t>(command, "--limit", options.limit, "at most so many rows",
                          {1, 1'000'000});
  auto* json = command.add_flag("--json", options.json, "one JSON object per line");
  command.add_flag("--csv", options.csv, "comma-separated values")->excludes(json);
}

StatusOr<Listing> ArrangeListing(Listing listing, const ListingOptions& options,
                                 const std::string& shown) {
  if (!options.sort.empty()) RETURN_IF_ERROR(Sort(listing, options.sort));
  if (options.limit && listing.rows.size() > static_cast<std::size_t>(*options.limit)) {
    listing.rows.resize(static_cast<std::size_t>(*options.limit));
  }
  const std::string& chosen = options.columns.empty() ? shown : options.columns;
  if (chosen.empty()) return listing;
  ASSIGN_OR_RETURN(const std::vector<std::size_t> columns, FindColumns(listing.heads, chosen));
  Listing arranged;
  for (const std::size_t column : columns) arranged.heads.push_back(listing.heads[column]);
  for (std::vector<Cell>& row : listing.rows) {
    std::vector<Cell>& cells = arranged.rows.emplace_back();
    for (const std::size_t column : columns) cells.push_back(std::move(row[column]));
  }
  return arranged;
}

std::string PrintTable(const Listing& listing) {
  std::vector<Table::Column> columns;
  for (const ColumnHead& head : listing.heads) columns.push_back({head.title, head.align});
  Table table(std::move(columns));
  for (const std::vector<Cell>& row : listing.rows) {
    std::vector<std::string> texts;
    for (const Cell& cell : row) {
      texts.push_back(!cell.text.empty()      ? cell.text
                      : IsUnknown(cell.value) ? "-"
                                              : TextOf(cell.value));
    }
    table.Add(std::move(texts));
  }
  return table.Print();
}

std::string PrintJsonLines(const Listing& listing) {
  std::string lines;
  for (const std::vector<Cell>& row : listing.rows) {
    Json object = Json::object();
    for (std::size_t i = 0; i < row.size(); ++i) {
      object[listing.heads[i].name] = JsonOf(row[i].value);
    }
    lines += object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return lines;
}

std::string PrintCsv(const Listing& listing) {
  std::vector<std::string> fields;
  for (const ColumnHead& head : listing.heads) fields.push_back(CsvField(head.name));
  std::string csv = CsvLine(fields);
  for (const std::vector<Cell>& row : listing.rows) {
    fields.clear();
    for (const Cell& cell : row) fields.push_back(CsvField(cell.value));
    csv += CsvLine(fields);
  }
  return csv;
}

Status WriteListing(Listing listing, const ListingOptions& options, const std::string& shown) {
  const bool is_table = !options.json && !options.csv;
  ASSIGN_OR_RETURN(const Listing arranged,
                   ArrangeListing(std::move(listing), options, is_table ? shown : ""));
  WriteOutput(options.json  ? PrintJsonLines(arranged)
              : options.csv ? PrintCsv(arranged)
                            : PrintTable(arranged));
  return {};
}

std::string DescribeColumns(const std::vector<ColumnHead>& heads) {
  constexpr std::size_t kWidth = 90;
  std::string text, line = "Columns:";
  for (const ColumnHead& head : heads) {
    const std::string word = " " + head.name + (&head == &heads.back() ? "" : ",");
    if (line.size() + word.size() > kWidth) {
      text += line + "\n";
      line = " ";
    }
    line += word;
  }
  return text + line + "\n";
}

}  // namespace kiln
