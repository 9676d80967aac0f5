#pragma once

#include <map>
#include <string>
#include <vector>

#include "export/library.h"
#include "toolchain/compiler.h"

namespace kiln {

enum class LibraryForm { kObject, kC };

// How a library is written down.
struct LibraryStyle {
  std::string name;  // prefix of all that it defines, and of its files
  LibraryForm form = LibraryForm::kObject;
  std::string compiler;  // of the objects: Compiler::Describe()
};

// Files by their path in the library's directory.
using Files = std::map<std::string, std::string>;

// Everything but objects, the manifest and the file of cases. Equal libraries have equal files.
Files TextFilesOf(const Library& library, const LibraryStyle& style);

// What compiles one code of a library into its object: the code that was measured, under names of
// the library that no other library sees.
CompileJob ObjectJobOf(const LibraryCode& code, const LibraryStyle& style);

// Where the object or the C file of a code lies.
std::string KernelPathOf(const LibraryCode& code, const LibraryStyle& style);

// Where the cases of the self-test lie.
std::string CasesPathOf(const LibraryStyle& style);

// Whether `name` can be the prefix of C names: a letter, then letters, digits and underscores, at
// most 64; none of C's or C++'s words nor the name of a target that CMake makes itself, and not
// `kiln`, which the shared part of the header has.
bool IsLibraryName(const std::string& name);

}  // namespace kiln
