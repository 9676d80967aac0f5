#pragma once

#include <string>

#include "apps/command_line/command_line.h"
#include "apps/command_line/command_tree.h"
#include "base/status.h"

namespace kiln {

// A script that makes a shell complete the program's commands, options, their values and files: what
// `bash`, `zsh` or `fish` sources. kInvalidArgument: another shell.
StatusOr<std::string> CompletionScript(const CommandNode& program, const CompletionWords& words,
                                       const std::string& shell);

}  // namespace kiln
