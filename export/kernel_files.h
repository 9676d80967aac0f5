#pragma once

#include <string>

#include "export/library_files.h"

namespace kiln {

// "net_0123456789abcdef": what the names of a code begin with in a library called `net`.
std::string SymbolIn(const LibraryCode& code, const LibraryStyle& style);

// A code's C with these names, hidden from other libraries. The text that was measured is in it as
// it was.
std::string RenamedC(const LibraryCode& code, const LibraryStyle& style);

// All instructions that a code was compiled with, as a word for a directory: codes with one word are
// compiled with the same flags. "avx2_avx512_avx512vnni", "portable".
std::string InstructionSetOf(const LibraryCode& code);

// "KILN_LIB_NET": what the library's own macros begin with.
std::string GuardOf(const LibraryStyle& style);

// "/* SPDX... */", the first line of every generated file, without the marks of a comment.
std::string LicenceLine();

}  // namespace kiln
