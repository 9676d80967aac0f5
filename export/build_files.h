#pragma once

#include "export/library_files.h"

namespace kiln {

// CMakeLists.txt, Makefile and the pkg-config file of a library.
void AddBuildFiles(const Library& library, const LibraryStyle& style, Files& files);

}  // namespace kiln
