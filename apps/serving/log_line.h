#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// What anybody on the network may have written, as one line of a log that people read on terminals.

namespace kiln {

inline constexpr std::size_t kLongestLogText = 1024;  // bytes

// The text with everything escaped that is not seen where it stands: control characters (\n, \t,
// \x1b), what is not UTF-8 (\xff), and the characters that end lines or turn the direction of
// writing (\u2028, \u202e). A text that takes more than `limit` bytes is clipped there and ends with
// "... (41,943,040 bytes)", its own size. The cost depends on the limit alone. A backslash stays as
// it is: the line is to be read, not to be decoded.
std::string OneLine(std::string_view text, std::size_t limit = kLongestLogText);

// 1234567 as "1,234,567".
std::string Grouped(std::uint64_t number);

}  // namespace kiln
