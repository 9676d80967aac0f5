#pragma once

#include <string>

namespace kiln {

// A word of a command line as a shell takes it: quoted where it has to be.
std::string ShellWord(const std::string& word);

}  // namespace kiln
