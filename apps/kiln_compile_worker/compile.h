#pragma once

#include <string>

#include "toolchain/compile_job.h"

namespace kiln {

// Readies the code generators; once, before the first job.
void InitializeCompiler();

// "clang 19.1.7" and the flags that every kernel is compiled with.
std::string DescribeCompiler();

// Compiles with clang in this process: to a relocatable object (not yet linked) or to assembly.
CompileReply Compile(const CompileJob& job);

// The text of kernel_host/kiln_kernel.h.
extern const char kAbiHeader[];

}  // namespace kiln
