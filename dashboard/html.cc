#include "dashboard/html.h"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace kiln {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool IsContinuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// The length of the character that begins `text`; 0: it is none of UTF-8 (RFC 3629), or one that XML
// does not have.
std::size_t CharacterLength(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : std::uint8_t{0};
  };
  const unsigned char first = byte(0), second = byte(1);
  if (first < 0x80) {
    return (first >= 0x20 && first != 0x7F) || first == '\n' || first == '\t' ? 1 : 0;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    // U+0080 to U+009F are control characters.
    return IsContinuation(second) && !(first == 0xC2 && second < 0xA0) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const bool is_overlong = first == 0xE0 && second < 0xA0;
    const bool is_surrogate = first == 0xED && second > 0x9F;
    const bool is_none = first == 0xEF && second == 0xBF && byte(2) >= 0xBE;
    const bool ok = IsContinuation(second) && IsContinuation(byte(2));
    return ok && !is_overlong && !is_surrogate && !is_none ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool in_range = (first != 0xF0 || second >= 0x90) && (first != 0xF4 || second <= 0x8F);
    const bool ok = IsContinuation(second) && IsContinuation(byte(2)) && IsContinuation(byte(3));
    return ok && in_range ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string HtmlEscaped(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    switch (length == 1 ? text[0] : '\0') {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += length == 0 ? kReplacement : text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return escaped;
}

void HtmlWriter::Begin(HtmlName tag, Attributes attributes) {
  text_ += '<';
  text_ += tag.view();
  for (const HtmlAttribute& attribute : attributes) {
    text_ += ' ';
    text_ += attribute.name.view();
    text_ += "=\"" + HtmlEscaped(attribute.value) + '"';
  }
  text_ += '>';
}

void HtmlWriter::Open(HtmlName tag, Attributes attributes) {
  Begin(tag, attributes);
  open_.push_back(tag.view());
}

void HtmlWriter::Close() {
  if (open_.empty()) return;
  text_ += "</";
  text_ += open_.back();
  text_ += '>';
  // Lines of a bearable length: after what is a block.
  if (open_.back() == "tr" || open_.back() == "p" || open_.back() == "section") text_ += '\n';
  open_.pop_back();
}

void HtmlWriter::Text(std::string_view text) { text_ += HtmlEscaped(text); }

void HtmlWriter::Element(HtmlName tag, std::string_view text, Attributes attributes) {
  Open(tag, attributes);
  Text(text);
  Close();
}

void HtmlWriter::Void(HtmlName tag, Attributes attributes) { Begin(tag, attributes); }

void HtmlWriter::Style(HtmlName css) {
  text_ += "<style>";
  text_ += css.view();
  text_ += "</style>\n";
}

std::string HtmlWriter::NewId(std::string_view stem) {
  return std::string(stem) + "-" + std::to_string(++ids_);
}

std::string HtmlWriter::Take() {
  while (!open_.empty()) Close();
  return std::exchange(text_, {}) + "\n";
}

}  // namespace kiln
