#pragma once

#include <map>
#include <string>

#include "apps/command_line/command_tree.h"

namespace kiln {

// The manual pages (section 1, man(7)) of a program and its commands, by file name: "kiln-db-merge.1".
std::map<std::string, std::string> ManualPages(const CommandNode& program,
                                               const std::string& version);

}  // namespace kiln
