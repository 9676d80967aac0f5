#pragma once

#include <string>
#include <string_view>

namespace kiln {

// A label's value that a Prometheus server takes: it refuses everything where one is not UTF-8.
// Bytes that are none, and control characters, become "?"; of long ones the first 128 bytes stay.
std::string LabelText(std::string_view text);

}  // namespace kiln
