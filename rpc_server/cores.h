#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kiln {

// The numbers of the cores that this process may run on, ascending.
std::vector<std::int32_t> UsableCores();

// "0,2-3" as {0, 2, 3}. kInvalidArgument: not such a list, or a core that is not among `usable`.
StatusOr<std::vector<std::int32_t>> ParseCores(std::string_view list,
                                               const std::vector<std::int32_t>& usable);

}  // namespace kiln
