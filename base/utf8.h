#pragma once

#include <cstddef>
#include <string_view>

namespace kiln {

// A character of a text, or a byte that belongs to none.
struct Utf8Character {
  std::size_t bytes = 1;
  char32_t code = 0;
  bool valid = false;
};

// The first character of a text that is not empty: UTF-8 as RFC 3629 has it, without surrogates and
// needlessly long forms.
Utf8Character FirstUtf8(std::string_view text);

bool IsUtf8(std::string_view text);

}  // namespace kiln
