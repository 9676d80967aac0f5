#pragma once

#include <string>
#include <string_view>

#include "db/database_content.h"

// The content of a database as lines of JSON: docs/store.md, "Between databases", has the format.

namespace kiln {

// This appends a line for each piece to a text, which must outlive it.
class JsonlWriter final : public ContentSink {
 public:
  explicit JsonlWriter(std::string& text);  // begins with the line that says what the text is
  void Take(const SharedTrial& trial) override;
  void Take(const Peak& peak) override;
  void TakeLine(const std::string& raw) override;

 private:
  std::string& text_;
};

// Hands what the lines say to the sink. kInvalidArgument, with `name`, the number of the line and
// what is wrong: the sink has what came before. Lets the sink's exceptions through.
Status ReadJsonl(std::string_view text, const std::string& name, ContentSink& sink);

}  // namespace kiln
