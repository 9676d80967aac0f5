#include "apps/serving/log_line.h"

#include <cstdio>

#include "base/utf8.h"

namespace kiln {
namespace {

// Of the characters from U+0080 on: control characters, and those that end lines, have no width or
// turn the direction of what follows.
bool IsHidden(char32_t code) {
  return code < 0xa0 || code == 0xad || code == 0x61c || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

std::string Escaped(const Utf8Character& character, std::string_view bytes) {
  char text[16];
  if (character.code == '\n' && character.valid) return "\\n";
  if (character.code == '\r' && character.valid) return "\\r";
  if (character.code == '\t' && character.valid) return "\\t";
  if (character.valid && character.code >= 0x80) {
    std::snprintf(text, sizeof text, "\\u%04x", static_cast<unsigned>(character.code));
  } else {
    std::snprintf(text, sizeof text, "\\x%02x", static_cast<unsigned char>(bytes[0]));
  }
  return text;
}

}  // namespace

std::string OneLine(std::string_view text, std::size_t limit) {
  std::string line;
  for (std::string_view rest = text; !rest.empty();) {
    const Utf8Character character = FirstUtf8(rest);
    const std::string_view bytes = rest.substr(0, character.bytes);
    const bool seen =
        character.valid && (character.code < 0x80 ? character.code >= 0x20 && character.code != 0x7f
                                                  : !IsHidden(character.code));
    const std::string escaped = seen ? "" : Escaped(character, bytes);
    const std::string_view shown = seen ? bytes : std::string_view(escaped);
    if (line.size() + shown.size() > limit) {
      return line + "... (" + Grouped(text.size()) + " bytes)";
    }
    line += shown;
    rest.remove_prefix(character.bytes);
  }
  return line;
}

std::string Grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

}  // namespace kiln
