#include "daemon/config_table.h"

#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/closest_word.h"

namespace kiln {

struct ConfigTable::Place {
  std::shared_ptr<const toml::table> root;  // which owns all others
  const toml::table* table = nullptr;
  std::string file, title;  // "[[window]]"; empty: the file's top
};

namespace {

constexpr std::size_t kLongestQuote = 150, kLongestError = 500;

// Of the text of others: what would break a line or a terminal becomes a question mark.
std::string OnOneLine(std::string_view text, std::size_t longest) {
  std::string line(text.substr(0, longest));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == 127) c = '?';
  }
  return line + (text.size() > longest ? "..." : "");
}

Status InLine(const std::string& file, toml::source_index line, const std::string& what) {
  return Error(StatusCode::kInvalidArgument, file, ":", std::max<toml::source_index>(line, 1), ": ",
               OnOneLine(what, kLongestError));
}

// What toml++ says of a file that is no TOML, in our words where they help more.
std::string Explanation(std::string_view description) {
  constexpr std::string_view kBegin = "Error while parsing ", kTwice = "cannot redefine existing ";
  if (const auto at = description.find(kTwice); at != std::string_view::npos) {
    const auto first = description.find('\'', at), last = description.rfind('\'');
    if (first < last) {
      return Quoted(description.substr(first + 1, last - first - 1)) + " is there twice";
    }
  }
  if (description.starts_with(kBegin)) description.remove_prefix(kBegin.size());
  if (description.starts_with("time:")) return "a time of day is a text in quotes: \"22:00\"";
  return std::string(description);
}

const char* TypeOf(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a fraction";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::time:
      return "a time without quotes";
    default:
      return "a date without quotes";
  }
}

std::string Not(const toml::node& node, const std::string& wanted) {
  return " must be " + wanted + ", not " + TypeOf(node);
}

// What is wrong with a name, a time or a path; nullptr: nothing.
const char* Objection(const std::string& text) {
  if (text.empty()) return " is empty: leave it out, or say something";
  const bool has_control =
      std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; });
  return has_control ? " has control characters" : nullptr;
}

}  // namespace

std::string Quoted(std::string_view text) { return "`" + OnOneLine(text, kLongestQuote) + "`"; }

ConfigTable::ConfigTable(std::shared_ptr<const Place> place) : place_(std::move(place)) {}

StatusOr<ConfigTable> ConfigTable::Parse(std::string_view text, const std::string& file) {
  // toml++ goes down into a key of many parts, a.b.c, by recursion, however many there are: this
  // many fit the stack.
  if (text.size() > kMostBytes) {
    return Error(StatusCode::kInvalidArgument, file, ": ", text.size(), " bytes, at most ",
                 kMostBytes, " are read");
  }
  try {
    auto root = std::make_shared<const toml::table>(toml::parse(text));
    const toml::table* table = root.get();
    return ConfigTable(std::make_shared<const Place>(Place{std::move(root), table, file, ""}));
  } catch (const toml::parse_error& error) {
    return InLine(file, error.source().begin.line, Explanation(error.description()));
  }
}

Status ConfigTable::CheckKeys(std::span<const std::string_view> known) const {
  std::optional<std::pair<toml::source_index, std::string>> first;
  for (const auto& [key, node] : *place_->table) {
    const std::string_view name = key.str();
    const toml::source_index line = key.source().begin.line;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (first && first->first <= line) continue;
    std::string what =
        (node.is_table() || node.is_array_of_tables() ? "unknown table " : "unknown key ");
    what += Quoted(name) + (place_->title.empty() ? "" : " in " + place_->title);
    if (const auto meant = ClosestWord(name, known)) {
      what += ": did you mean " + Quoted(*meant) + "?";
    } else {
      const char* between = ": known are ";
      for (const std::string_view each : known)
        what += std::exchange(between, ", ") + std::string(each);
    }
    first = {line, std::move(what)};
  }
  return first ? InLine(place_->file, first->first, first->second) : absl::OkStatus();
}

bool ConfigTable::Has(std::string_view key) const { return place_->table->contains(key); }

int ConfigTable::Line(std::string_view key) const {
  const auto found = place_->table->find(key);
  const toml::source_region& source =
      found == place_->table->end() ? place_->table->source() : found->first.source();
  return static_cast<int>(source.begin.line);
}

Status ConfigTable::Bad(std::string_view key, const std::string& what) const {
  return InLine(place_->file, static_cast<toml::source_index>(Line(key)),
                Quoted(key) + (place_->title.empty() ? "" : " in " + place_->title) + what);
}

StatusOr<std::string> ConfigTable::Text(std::string_view key) const {
  const toml::node* node = place_->table->get(key);
  if (node == nullptr) return std::string();
  const auto* text = node->as_string();
  if (text == nullptr) return Bad(key, Not(*node, "a text in quotes"));
  if (const char* objection = Objection(text->get())) return Bad(key, objection);
  return text->get();
}

StatusOr<std::vector<std::string>> ConfigTable::Texts(std::string_view key) const {
  const toml::node* node = place_->table->get(key);
  std::vector<std::string> texts;
  if (node == nullptr) return texts;
  if (!node->is_array()) {
    if (!node->is_string()) return Bad(key, Not(*node, "a list of texts in quotes"));
    ASSIGN_OR_RETURN(texts.emplace_back(), Text(key));
    return texts;
  }
  for (const toml::node& each : *node->as_array()) {
    const auto* text = each.as_string();
    if (text == nullptr) {
      return Bad(key, " must be a list of texts in quotes, but has " + std::string(TypeOf(each)));
    }
    if (text->get().find('\0') != std::string::npos) return Bad(key, " has a zero byte");
    texts.push_back(text->get());
  }
  return texts;
}

StatusOr<ConfigTable> ConfigTable::Table(std::string_view key) const {
  static const auto kNothing = std::make_shared<const toml::table>();
  const std::string title = "[" + std::string(key) + "]";
  const toml::node* node = place_->table->get(key);
  if (node == nullptr) {
    return ConfigTable(
        std::make_shared<const Place>(Place{kNothing, kNothing.get(), place_->file, title}));
  }
  if (!node->is_table()) return Bad(key, Not(*node, "a table") + ": write " + title);
  return ConfigTable(
      std::make_shared<const Place>(Place{place_->root, node->as_table(), place_->file, title}));
}

StatusOr<std::vector<ConfigTable>> ConfigTable::Tables(std::string_view key) const {
  const std::string title = "[[" + std::string(key) + "]]";
  const toml::node* node = place_->table->get(key);
  std::vector<ConfigTable> tables;
  if (node == nullptr) return tables;
  if (!node->is_array()) return Bad(key, Not(*node, "a list of tables") + ": write " + title);
  for (const toml::node& each : *node->as_array()) {
    if (!each.is_table()) {
      return Bad(key, " must be a list of tables, but has " + std::string(TypeOf(each)) +
                          ": write " + title);
    }
    tables.push_back(ConfigTable(
        std::make_shared<const Place>(Place{place_->root, each.as_table(), place_->file, title})));
  }
  return tables;
}

StatusOr<std::int32_t> ConfigTable::Number(std::string_view key, Numbers range,
                                           std::int32_t otherwise) const {
  const toml::node* node = place_->table->get(key);
  if (node == nullptr) return otherwise;
  const auto* number = node->as_integer();
  if (number == nullptr) return Bad(key, Not(*node, "a whole number"));
  if (number->get() < range.least || number->get() > range.most) {
    return Bad(key, " is " + std::to_string(number->get()) + ": write " +
                        std::to_string(range.least) + " to " + std::to_string(range.most));
  }
  return static_cast<std::int32_t>(number->get());
}

}  // namespace kiln
