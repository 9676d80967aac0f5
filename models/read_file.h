#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace kiln {

// The bytes of a regular file. kNotFound, or kInvalidArgument if it is larger than `limit`; the
// message names the file.
StatusOr<std::vector<std::uint8_t>> ReadFile(const std::string& path, std::uint64_t limit);

// `status` with "PATH: " in front of its message.
Status InFile(const std::string& path, const Status& status);

}  // namespace kiln
