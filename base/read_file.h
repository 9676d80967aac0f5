#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/status.h"

namespace kiln {

// The bytes of a regular file. kNotFound, or kInvalidArgument if it is larger than `limit` or
// cannot be read to its end; the message names the file.
StatusOr<std::vector<std::uint8_t>> ReadFile(
    const std::string& path, std::uint64_t limit = std::numeric_limits<std::uint64_t>::max());

// `status` with "PATH: " in front of its message.
Status InFile(const std::string& path, const Status& status);

}  // namespace kiln
