#pragma once

#include "kernels_templates/kernel_template.h"

namespace kiln {

// The `kiln` program with these templates: parses the arguments, runs one subcommand and returns
// the exit status (0 done, 1 it could not be done, 2 the command line is wrong). A program of one's
// own that adds templates to the built-in ones is a main() of three lines:
// docs/writing_a_template.md.
int RunKiln(int argc, char** argv, TemplateRegistry registry);

}  // namespace kiln
