#include "export/build_files.h"

#include <fmt/format.h>

#include <map>

#include "base/version.h"
#include "export/kernel_files.h"
#include "export/runtime_text.h"
#include "ops/isa.h"

namespace kiln {
namespace {

// What every C file of a kernel is compiled with, and what gcc needs beside: runtime/kiln_compat.h
// says why.
constexpr std::string_view kKernelFlags =
    "-std=c11 -O2 -ffreestanding -fPIC -fvisibility=hidden -fno-fast-math -ffp-contract=off -w";
constexpr std::string_view kGccFlags =
    "-fwrapv -flax-vector-conversions -fno-strict-aliasing -fno-tree-loop-distribute-patterns "
    "-Wno-psabi";

// The flags of an instruction set, and the files that are compiled with them.
struct KernelGroup {
  std::string flags;
  std::vector<std::string> paths;
};

std::map<std::string, KernelGroup> GroupsOf(const Library& library, const LibraryStyle& style) {
  std::map<std::string, KernelGroup> groups;
  for (const LibraryCode& code : library.codes) {
    KernelGroup& group = groups[InstructionSetOf(code)];
    group.flags = CompilerFlagsOf(library.arch, code.kernel.task.target().isa);
    group.paths.push_back(KernelPathOf(code, style));
  }
  return groups;
}

// As CMake lists are written.
std::string Semicolons(std::string words) { return Replaced(std::move(words), " ", ";"); }

std::string CMakeKernels(const Library& library, const LibraryStyle& style) {
  std::string text = "set(kernels)\n";
  for (const auto& [set, group] : GroupsOf(library, style)) {
    text += fmt::format("set({}\n", set);
    for (const std::string& path : group.paths) text += "  " + path + "\n";
    text += ")\n";
    text += fmt::format("list(TRANSFORM {} PREPEND \"${{CMAKE_CURRENT_SOURCE_DIR}}/\")\n", set);
    if (style.form == LibraryForm::kC) {
      text += fmt::format(
          "set_source_files_properties(${{{}}} PROPERTIES COMPILE_OPTIONS\n"
          "  \"{};{};$<$<C_COMPILER_ID:GNU>:{}>\")\n",
          set, Semicolons(std::string(kKernelFlags)), Semicolons(group.flags),
          Semicolons(std::string(kGccFlags)));
    }
    text += fmt::format("list(APPEND kernels ${{{}}})\n", set);
  }
  if (style.form == LibraryForm::kObject) {
    text += "set_source_files_properties(${kernels} PROPERTIES EXTERNAL_OBJECT TRUE)\n";
  } else {
    text +=
        "message(STATUS \"@NAME@: kernels are compiled by ${CMAKE_C_COMPILER_ID} "
        "${CMAKE_C_COMPILER_VERSION}: this is not the code that was measured\")\n";
  }
  return text;
}

constexpr std::string_view kCMakeHead = R"(# @LICENCE@
# A library of tuned kernels: add_subdirectory() it and link @NAME@; or build, test and install it by itself.
cmake_minimum_required(VERSION 3.16)
project(@NAME@ LANGUAGES C)
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(@PROCESSORS@)$")
  message(FATAL_ERROR "@NAME@ is a library for @ARCH@, not ${CMAKE_SYSTEM_PROCESSOR}: export one for that with kiln export --arch")
endif()

)";

constexpr std::string_view kCMakeTail = R"(
add_library(@NAME@ src/@NAME@.c ${kernels})
set_target_properties(@NAME@ PROPERTIES C_STANDARD 11 C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON DEFINE_SYMBOL @GUARD@_SHARED)
target_include_directories(@NAME@ PUBLIC "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:include>")
@PRIVATE_INCLUDES@
if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
  add_executable(@NAME@_self_test self_test/self_test.c)
  set_target_properties(@NAME@_self_test PROPERTIES C_STANDARD 11 C_EXTENSIONS OFF)
  target_link_libraries(@NAME@_self_test PRIVATE @NAME@)
  enable_testing()
  add_test(NAME @NAME@.self_test COMMAND @NAME@_self_test "${CMAKE_CURRENT_SOURCE_DIR}/self_test/@NAME@.cases")
endif()

include(GNUInstallDirs)
install(TARGETS @NAME@ ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES include/@NAME@.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
# Where libraries lie deeper than in lib, the way from there to the header is another.
file(RELATIVE_PATH includes "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/${CMAKE_INSTALL_INCLUDEDIR}")
file(READ @NAME@.pc package)
string(REPLACE "../../include" "${includes}" package "${package}")
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/@NAME@.pc" "${package}")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/@NAME@.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
)";

constexpr std::string_view kMakeHead = R"(# @LICENCE@
#   make              lib@NAME@.a
#   make shared       lib@NAME@.so
#   make check        runs the self-test, on an emulator with RUN=qemu-...
#   make install      to $(DESTDIR)$(PREFIX)
CC ?= cc
AR ?= ar
CFLAGS ?= -O2
PREFIX ?= /usr/local
RUN ?=

all: lib@NAME@.a
shared: lib@NAME@.so

)";

constexpr std::string_view kMakeTail = R"(
src/@NAME@.o: src/@NAME@.c include/@NAME@.h
	$(CC) -std=c11 $(CFLAGS) -fPIC -fvisibility=hidden -Iinclude -c $< -o $@
lib@NAME@.a: src/@NAME@.o $(kernels)
	rm -f $@
	$(AR) rcsD $@ $^
src/@NAME@.shared.o: src/@NAME@.c include/@NAME@.h
	$(CC) -std=c11 $(CFLAGS) -D@GUARD@_SHARED -fPIC -fvisibility=hidden -Iinclude -c $< -o $@
lib@NAME@.so: src/@NAME@.shared.o $(kernels)
	$(CC) -shared -Wl,-soname,$@ -o $@ $^
self_test/self_test: self_test/self_test.c self_test/kiln_cases.h lib@NAME@.a
	$(CC) -std=c11 $(CFLAGS) -Iinclude $< lib@NAME@.a -o $@
check: self_test/self_test
	$(RUN) self_test/self_test self_test/@NAME@.cases
install: all
	install -d "$(DESTDIR)$(PREFIX)/lib/pkgconfig" "$(DESTDIR)$(PREFIX)/include"
	install -m 644 lib@NAME@.a "$(DESTDIR)$(PREFIX)/lib"
	install -m 644 include/@NAME@.h "$(DESTDIR)$(PREFIX)/include"
	install -m 644 @NAME@.pc "$(DESTDIR)$(PREFIX)/lib/pkgconfig"
clean:
	rm -f src/@NAME@.o src/@NAME@.shared.o lib@NAME@.a lib@NAME@.so self_test/self_test @BUILT@
.PHONY: all shared check install clean
)";

std::string MakeKernels(const Library& library, const LibraryStyle& style) {
  const bool is_c = style.form == LibraryForm::kC;
  std::string text = "kernels =";
  for (const LibraryCode& code : library.codes) {
    std::string path = KernelPathOf(code, style);
    if (is_c) path.back() = 'o';
    text += " \\\n  " + path;
  }
  text += "\n";
  if (!is_c) return text;
  text += fmt::format(
      "\nkernel_flags = {}\n"
      "ifeq ($(findstring clang,$(shell $(CC) --version)),)\n"
      "kernel_flags += {}\n"
      "endif\n",
      kKernelFlags, kGccFlags);
  for (const auto& [set, group] : GroupsOf(library, style)) {
    text += fmt::format(
        "kernels/{0}/%.o: kernels/{0}/%.c kernels/kiln_compat.h kernels/kiln_kernel.h "
        "include/@NAME@.h\n"
        "\t$(CC) $(CFLAGS) $(kernel_flags) {1} -Iinclude -Ikernels -c $< -o $@\n",
        set, group.flags);
  }
  return text;
}

constexpr std::string_view kPackage = R"(# @LICENCE@
libdir=${pcfiledir}/..
includedir=${pcfiledir}/../../include

Name: @NAME@
Description: int8 kernels, tuned
Version: @VERSION@
Libs: -L${libdir} -l@NAME@
Cflags: -I${includedir}
)";

}  // namespace

void AddBuildFiles(const Library& library, const LibraryStyle& style, Files& files) {
  const bool is_c = style.form == LibraryForm::kC, is_arm = library.arch == "aarch64";
  const auto filled = [&](std::string text) {
    text = Replaced(std::move(text), "@NAME@", style.name);
    text = Replaced(std::move(text), "@GUARD@", GuardOf(style));
    text = Replaced(std::move(text), "@LICENCE@", LicenceLine());
    text = Replaced(std::move(text), "@VERSION@", kVersion);
    text = Replaced(std::move(text), "@ARCH@", library.arch);
    text = Replaced(std::move(text), "@PROCESSORS@", is_arm ? "aarch64|arm64" : "x86_64|AMD64");
    text = Replaced(std::move(text), "@BUILT@", is_c ? "$(kernels)" : "");
    return Replaced(std::move(text), "@PRIVATE_INCLUDES@",
                    is_c ? "target_include_directories(" + style.name +
                               " PRIVATE \"${CMAKE_CURRENT_SOURCE_DIR}/kernels\")\n"
                         : "");
  };
  files["CMakeLists.txt"] =
      filled(std::string(kCMakeHead) + CMakeKernels(library, style) + std::string(kCMakeTail));
  files["Makefile"] =
      filled(std::string(kMakeHead) + MakeKernels(library, style) + std::string(kMakeTail));
  files[style.name + ".pc"] = filled(std::string(kPackage));
}

}  // namespace kiln
