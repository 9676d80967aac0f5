#pragma once

#include <string>

namespace kiln {

// A random UUID (version 4), "1b4e28ba-2fa1-4d1d-883f-b9a761bde3fb".
std::string RandomId();

// Uniform in [0, 1). Thread-safe.
double RandomFraction();

}  // namespace kiln
