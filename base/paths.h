#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace kiln {

// Where a program of Kiln finds what was built and installed with it. A build tree has the same
// shape as an installed tree (bin, share/kiln), so Kiln's own programs have no path compiled in.

// Has FindHelper and FindData look in this installed tree as well, after the places around the
// running program: for programs that were built against an installed Kiln and live elsewhere.
// find_package(Kiln) defines KILN_INSTALL_PREFIX for them to pass. "" takes it back. Not
// thread-safe: call it first in main().
void SetInstallPrefix(std::string_view prefix);

// The absolute path of a helper program. $KILN_LIBEXEC, if set, is the only place to look; else the
// directory of the running program, the one above it (tests live in bin/tests), then
// ../libexec/kiln (installed), then bin and libexec/kiln of the install prefix, if there is one.
// kNotFound names the places.
StatusOr<std::string> FindHelper(std::string_view name);

// The absolute path of a program that is not Kiln's own, as a shell finds it: one with a '/' is a
// path, any other is looked for in $PATH. kNotFound.
StatusOr<std::string> FindProgram(std::string_view name);

// The directory of data files of this name ("targets"). $KILN_DATA/<name>, if set; else
// share/kiln/<name> one or two levels above the running program (bin; bin/tests or libexec/kiln),
// then in the install prefix.
// kNotFound names the places. CMake's kiln_data() puts a folder of data files there.
StatusOr<std::string> FindData(std::string_view name);

}  // namespace kiln
