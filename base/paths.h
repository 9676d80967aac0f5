#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace kiln {

// Where a program of Kiln finds what was built and installed with it. A build tree has the same
// shape as an installed tree (bin, share/kiln), so no path is compiled in.

// The absolute path of a helper program. $KILN_LIBEXEC, if set, is the only place to look; else the
// directory of the running program, the one above it (tests live in bin/tests), then
// ../libexec/kiln (installed). kNotFound names the places.
StatusOr<std::string> FindHelper(std::string_view name);

// The directory of data files of this name ("targets"). $KILN_DATA/<name>, if set; else
// share/kiln/<name> one or two levels above the running program (bin; bin/tests or libexec/kiln).
// kNotFound names the places. CMake's kiln_data() puts a folder of data files there.
StatusOr<std::string> FindData(std::string_view name);

}  // namespace kiln
