#pragma once

#include <string>
#include <string_view>

namespace kiln {

// What exported libraries carry: the C files of runtime/ and the headers of other folders that are
// written in C for this, in the program itself, so that an export needs no file of Kiln's.
std::string_view KernelHeaderText();   // kernel_host/kiln_kernel.h
std::string_view DriverHeaderText();   // kernel_host/kiln_driver.h
std::string_view CpuFeaturesText();    // ops/cpu_features.h
std::string_view LibraryHeaderText();  // runtime/kiln_library.h
std::string_view CompatHeaderText();   // runtime/kiln_compat.h
std::string_view CasesHeaderText();    // runtime/kiln_cases.h
std::string_view FunctionsHeaderText();
std::string_view FunctionsText();
std::string_view SelfTestText();

// Without the lines that include a file of this repository: files that become one.
std::string WithoutOwnIncludes(std::string_view text);

// With `to` for every `from`.
std::string Replaced(std::string text, std::string_view from, std::string_view to);

}  // namespace kiln
