#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

// The name of a tag or an attribute: a literal of the program, never something that was read.
class HtmlName {
 public:
  consteval HtmlName(const char* name) : name_(name) {}  // NOLINT(google-explicit-constructor)
  constexpr std::string_view view() const { return name_; }

 private:
  std::string_view name_;
};

struct HtmlAttribute {
  HtmlName name;
  std::string value;
};

// This writes HTML, and SVG within it. Whatever is not a literal is escaped: there is no way to put
// markup into it as text. Bytes that are no UTF-8, and control characters, become U+FFFD. Elements
// nest as they are opened.
class HtmlWriter {
 public:
  using Attributes = std::initializer_list<HtmlAttribute>;

  void Open(HtmlName tag, Attributes attributes = {});
  void Close();  // the innermost
  void Text(std::string_view text);
  // Open, Text, Close.
  void Element(HtmlName tag, std::string_view text, Attributes attributes = {});
  // One that has no content and no end tag: <meta>, <br>.
  void Void(HtmlName tag, Attributes attributes = {});
  // A style sheet of the program's own. Must have no '<'.
  void Style(HtmlName css);
  // Names that are in the document once: "caption-3".
  std::string NewId(std::string_view stem);

  // The document so far, with its doctype; everything that is open is closed.
  std::string Take();

 private:
  void Begin(HtmlName tag, Attributes attributes);

  std::string text_ = "<!DOCTYPE html>\n";
  std::vector<std::string_view> open_;
  int ids_ = 0;
};

// As it stands in a document, in text and in attributes with double quotes.
std::string HtmlEscaped(std::string_view text);

}  // namespace kiln
