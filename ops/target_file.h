#pragma once

#include <string_view>

namespace kiln {

// Whether FindTarget() (ops/target.h) takes it for a path: with a '/', or ending in .json.
bool IsTargetFile(std::string_view name_or_path);

}  // namespace kiln
