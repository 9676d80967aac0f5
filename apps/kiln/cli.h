#pragma once

#include "kernels_templates/kernel_template.h"

namespace kiln {

// Where Kiln is installed: find_package(Kiln) defines it for programs of one's own.
#ifndef KILN_INSTALL_PREFIX
#define KILN_INSTALL_PREFIX ""
#endif

// The `kiln` program with these templates: parses the arguments, runs one subcommand and returns
// the exit status (0 done, 1 it could not be done, 2 the command line is wrong, 130 interrupted). A
// program of one's own that adds templates to the built-in ones is a main() of four lines:
// docs/writing_a_template.md. It finds the helper programs in `install_prefix`, see base/paths.h.
int RunKiln(int argc, char** argv, const TemplateRegistry& registry,
            const char* install_prefix = KILN_INSTALL_PREFIX);

}  // namespace kiln
