#pragma once

namespace kiln {

// "0.1.0": the VERSION of project() in the root CMakeLists.txt.
extern const char* const kVersion;

}  // namespace kiln
