#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace kiln {

// Puts a file with these bytes in place of what is at `path`, if anything: whoever reads it, then or
// after a crash, finds the old bytes or the new ones. The message of an error names the file:
// kPermissionDenied, kNotFound (no such directory), kResourceExhausted (disk full),
// kFailedPrecondition (a device, socket or pipe lies there).
Status ReplaceFile(const std::string& path, std::string_view bytes);

// The same, unless the file has these bytes already: then it is left alone, its time included.
// Whether it was written.
StatusOr<bool> UpdateFile(const std::string& path, std::string_view bytes);

}  // namespace kiln
