#include "export/library_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/version.h"
#include "export/build_files.h"
#include "export/kernel_files.h"
#include "export/runtime_text.h"

namespace kiln {
namespace {

// A C string of any bytes.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f || c == '?') {  // ?: of a trigraph
      out += fmt::format("\\{:03o}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string Filled(std::string_view text, const LibraryStyle& style) {
  return Replaced(Replaced(std::string(text), "LIBNAME", style.name), "LIBGUARD", GuardOf(style));
}

std::string Comment(std::string_view text) { return fmt::format("/* {} */\n", text); }

std::string DescribeLabels(const ConfigLabels& labels) {
  std::string text;
  for (const auto& [knob, label] : labels) text += (text.empty() ? "" : " ") + knob + "=" + label;
  return text;
}

std::string HeaderOf(const LibraryStyle& style) {
  std::string text = Comment(LicenceLine());
  for (const std::string_view part :
       {KernelHeaderText(), DriverHeaderText(), LibraryHeaderText()}) {
    text += WithoutOwnIncludes(part);
  }
  return text + Filled(FunctionsHeaderText(), style);
}

// How the kernels of a library were compiled, as an expression of C.
std::string BuildText(const LibraryStyle& style) {
  if (style.form == LibraryForm::kObject) {
    const std::string compiler = style.compiler.substr(0, style.compiler.find(" -"));
    return "#define BUILD " + Quoted("objects by " + compiler + ", as Kiln measures them") + "\n";
  }
  return "#if defined(__clang__)\n"
         "#define BUILD \"C compiled by \" __VERSION__ \": not the code that was measured\"\n"
         "#else\n"
         "#define BUILD \"C compiled by gcc \" __VERSION__ \": not the code that was measured\"\n"
         "#endif\n";
}

std::string TablesOf(const Library& library, const LibraryStyle& style) {
  std::string text = "\n#define HIDDEN __attribute__((visibility(\"hidden\")))\n";
  for (const LibraryCode& code : library.codes) {
    text += fmt::format(
        "extern const kiln_info {0}_info HIDDEN;\n"
        "extern kiln_pack_fn {0}_pack HIDDEN;\n"
        "extern kiln_run_fn {0}_run HIDDEN;\n",
        SymbolIn(code, style));
  }
  // By workload, the better target first, then the fewer threads: the order of `variants`.
  std::map<std::string, std::uint32_t> number, first;
  std::string kernels;
  for (std::uint32_t i = 0; i < library.variants.size(); ++i) {
    const LibraryVariant& variant = library.variants[i];
    first.try_emplace(variant.key.workload, i);
    const auto& time = variant.entry.time;
    kernels += fmt::format(
        "  {{{},\n   {}, {},\n   {}, {}, {}, {:.1f}, {}, &{}_info, {}_pack, {}_run}},\n",
        Quoted(variant.key.workload), Quoted(variant.key.target),
        Quoted(DescribeLabels(variant.entry.labels)), Quoted(Name(variant.entry.origin)),
        Quoted(time ? Name(time->kind) : ""), Quoted(time ? time->device : ""),
        time ? time->min_ns : 0.0, variant.key.threads,
        SymbolIn(library.codes[variant.code], style), SymbolIn(library.codes[variant.code], style),
        SymbolIn(library.codes[variant.code], style));
  }
  text += fmt::format("\nenum {{ N_KERNELS = {}, N_WORKLOADS = {}, N_LAYERS = {} }};\n",
                      library.variants.size(), library.workloads.size(), library.layers.size());
  text += "\nstatic const kiln_kernel kernels[N_KERNELS] = {\n" + kernels + "};\n";
  text +=
      "\n/* Sorted by key; the last one ends the one before it. */\n"
      "static const struct {\n  const char* key;\n  uint32_t first;\n} "
      "workloads[N_WORKLOADS + 1] = {\n";
  for (std::uint32_t i = 0; i < library.workloads.size(); ++i) {
    number[library.workloads[i]] = i;
    text += fmt::format("  {{{}, {}}},\n", Quoted(library.workloads[i]),
                        first.at(library.workloads[i]));
  }
  text += "  {NULL, N_KERNELS},\n};\n";
  text +=
      "\n/* Sorted by name. */\nstatic const struct {\n  const char* name;\n  uint32_t "
      "workload;\n} "
      "layers[N_LAYERS + 1] = {\n";
  for (const auto& [name, workload] : library.layers) {
    text += fmt::format("  {{{}, {}}},\n", Quoted(name), number.at(workload));
  }
  return text + "  {NULL, 0},\n};\n\n" + BuildText(style);
}

std::string SourceOf(const Library& library, const LibraryStyle& style) {
  return Comment(LicenceLine()) + fmt::format("#include \"{}.h\"\n\n", style.name) +
         std::string(CpuFeaturesText()) + TablesOf(library, style) + Filled(FunctionsText(), style);
}

std::string ReadmeOf(const Library& library, const LibraryStyle& style) {
  std::string targets;
  for (const Target& target : library.targets) {
    targets += (targets.empty() ? "" : ", ") + target.name;
  }
  return fmt::format(
      "# {0}\n\n"
      "{1}\n\n"
      "{2} int8 kernels of {3} workloads for {4} ({5}), by `kiln export`. Nothing of Kiln is "
      "needed "
      "to build or run\n"
      "them. `include/{0}.h` says how they are used; `manifest.json` which configs they are, and "
      "what measured them.\n\n"
      "    make && make check                                     # or\n"
      "    cmake -S . -B build && cmake --build build && ctest --test-dir build\n{6}",
      style.name, LicenceLine(), library.variants.size(), library.workloads.size(), targets,
      library.arch,
      style.form == LibraryForm::kObject
          ? ""
          : "\nThese are C sources: what your compiler makes of them is exact, but it is not the "
            "code that was measured. gcc 12\nspills vectors that clang 19 keeps in registers.\n");
}

// Words of C11 and C++20; what CMake keeps for targets of its own; what is Kiln's.
constexpr std::string_view kReserved =
    " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t "
    "char32_t "
    "char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr "
    "constinit continue decltype default delete do double dynamic_cast else enum explicit export "
    "extern false float for friend goto if inline int long main mutable namespace new noexcept not "
    "not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires "
    "restrict return short signed sizeof static static_assert static_cast struct switch template "
    "this thread_local throw true try typedef typeid typename union unsigned using virtual void "
    "volatile wchar_t while xor xor_eq "
    "ALL_BUILD INSTALL PACKAGE RUN_TESTS ZERO_CHECK all clean edit_cache help install package "
    "list_install_components package_source rebuild_cache test "
    "kiln ";

}  // namespace

bool IsLibraryName(const std::string& name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && name.size() <= 64 && letter(name[0]) && name[0] != '_' &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); }) &&
         !name.starts_with("kiln_") && kReserved.find(" " + name + " ") == kReserved.npos;
}

Files TextFilesOf(const Library& library, const LibraryStyle& style) {
  Files files;
  files["README.md"] = ReadmeOf(library, style);
  files["include/" + style.name + ".h"] = HeaderOf(style);
  files["src/" + style.name + ".c"] = SourceOf(library, style);
  files["self_test/kiln_cases.h"] =
      Comment(LicenceLine()) +
      Replaced(std::string(CasesHeaderText()), "kernel_host/kiln_kernel.h", style.name + ".h");
  files["self_test/self_test.c"] = Comment(LicenceLine()) + Filled(SelfTestText(), style);
  if (style.form == LibraryForm::kObject) {
    std::string& objects = files["objects.txt"];  // for archivers
    for (const LibraryCode& code : library.codes) objects += KernelPathOf(code, style) + "\n";
  } else {
    files["kernels/kiln_compat.h"] = Comment(LicenceLine()) + std::string(CompatHeaderText());
    files["kernels/kiln_kernel.h"] =
        Comment(LicenceLine()) + fmt::format("#include \"{}.h\"\n", style.name);
    for (const LibraryCode& code : library.codes) {
      files[KernelPathOf(code, style)] =
          Comment(LicenceLine()) + "#include \"kiln_compat.h\"\n" + RenamedC(code, style);
    }
  }
  AddBuildFiles(library, style, files);
  return files;
}

}  // namespace kiln
