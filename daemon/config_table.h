#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kiln {

// This is a table of a TOML file, whose values are asked for by key. All errors are kInvalidArgument
// on one line, with the file, the line and the key: "night.toml:12: `from` in [[window]] ...".
class ConfigTable {
 public:
  // The whole file; `file` is its name for messages. At most kMostBytes.
  static StatusOr<ConfigTable> Parse(std::string_view text, const std::string& file);
  static constexpr std::size_t kMostBytes = 32768;

  // Refuses keys that are not among these, and says which one is meant, perhaps.
  Status CheckKeys(std::span<const std::string_view> known) const;

  bool Has(std::string_view key) const;
  int Line(std::string_view key) const;  // of the table, where it has no such key

  // What is not there is empty: what is there and empty is an error, but for lists.
  StatusOr<std::string> Text(std::string_view key) const;
  // A list of texts, or a single one.
  StatusOr<std::vector<std::string>> Texts(std::string_view key) const;
  // [key]
  StatusOr<ConfigTable> Table(std::string_view key) const;
  // [[key]], in the order of the file.
  StatusOr<std::vector<ConfigTable>> Tables(std::string_view key) const;

  struct Numbers {
    std::int32_t least = 0, most = 0;
  };
  StatusOr<std::int32_t> Number(std::string_view key, Numbers range, std::int32_t otherwise) const;

  // "FILE:LINE: `KEY` in [TABLE]", and what is wrong with it.
  Status Bad(std::string_view key, const std::string& what) const;

 private:
  struct Place;
  explicit ConfigTable(std::shared_ptr<const Place> place);
  std::shared_ptr<const Place> place_;
};

// A text from a file in the words of an error: in backticks, on one line, not too long.
std::string Quoted(std::string_view text);

}  // namespace kiln
