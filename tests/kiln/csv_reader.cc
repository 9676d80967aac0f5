#include "tests/kiln/csv_reader.h"

#include <algorithm>
#include <cstddef>

namespace kiln {
namespace {

// This is a position in the text.
class Reader {
 public:
  explicit Reader(const std::string& text) : text_(text) {}

  bool AtEnd() const { return at_ == text_.size(); }

  bool Take(char c) {
    if (AtEnd() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // False: a quote that nothing ends, or that stands in a field without.
  bool ReadField(CsvField& field) {
    return Take('"') ? ReadQuoted(field.emplace()) : ReadPlain(field);
  }

 private:
  bool ReadQuoted(std::string& field) {
    while (!AtEnd()) {
      const char c = text_[at_++];
      if (c == '"' && !Take('"')) return true;  // a doubled one is one of the field's
      field += c;
    }
    return false;
  }

  bool ReadPlain(CsvField& field) {
    const std::size_t end = std::min(text_.find_first_of(",\r\n\"", at_), text_.size());
    if (end < text_.size() && text_[end] == '"') return false;
    if (end > at_) field = text_.substr(at_, end - at_);
    at_ = end;
    return true;
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<std::vector<CsvField>>> ReadCsv(const std::string& text) {
  std::vector<std::vector<CsvField>> lines;
  Reader reader(text);
  while (!reader.AtEnd()) {
    std::vector<CsvField>& line = lines.emplace_back();
    do {
      if (!reader.ReadField(line.emplace_back())) return std::nullopt;
    } while (reader.Take(','));
    reader.Take('\r');
    if (!reader.Take('\n')) return std::nullopt;
    if (line.size() != lines.front().size()) return std::nullopt;
  }
  return lines;
}

}  // namespace kiln
