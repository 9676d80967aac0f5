#include "telemetry/label_text.h"

#include <algorithm>
#include <cstddef>

namespace kiln {
namespace {

constexpr std::size_t kMaxBytes = 128;

unsigned Byte(std::string_view text, std::size_t i) {
  return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
}

// The length of the character that the text begins with; 0: it is none (RFC 3629: no overlong forms,
// no surrogates, nothing beyond U+10FFFF), or a control character.
std::size_t CharacterBytes(std::string_view text) {
  const unsigned first = Byte(text, 0), second = Byte(text, 1);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((Byte(text, i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool beyond = (first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90);
  return overlong || beyond ? 0 : size;
}

}  // namespace

std::string LabelText(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const std::size_t size = CharacterBytes(text);
    if (clean.size() + std::max<std::size_t>(size, 1) > kMaxBytes) break;
    clean += size == 0 ? "?" : text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return clean;
}

}  // namespace kiln
