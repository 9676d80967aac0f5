#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

// Instruction-set features that kernels are generated for. The bit numbers are part of the kernel
// ABI (kiln_info.isa): append only.
enum class IsaFeature : std::uint8_t {
  kAvx2 = 0,    // x86-64-v3: with FMA, F16C, BMI, LZCNT, MOVBE
  kAvx512 = 1,  // F, BW, DQ, VL, CD
  kAvx512Vnni = 2,
  kAvxVnni = 3,
  kNeon = 8,
  kDotProd = 9,
  kI8mm = 10,
};
using IsaMask = std::uint64_t;
constexpr IsaMask Bit(IsaFeature feature) { return IsaMask{1} << static_cast<int>(feature); }
constexpr bool Has(IsaMask mask, IsaFeature feature) { return (mask & Bit(feature)) != 0; }

// A row of the one table of features.
struct IsaFeatureRow {
  IsaFeature feature{};
  std::string_view name;  // in target files, on the wire and in messages: "avx512vnni"
  std::string_view arch;  // "x86_64"
  // How clang is asked for it: by the oldest processor that has it and all features before it, or
  // beside the processor that the others give.
  std::string_view clang_cpu, clang_feature;
  std::int32_t vector_bits = 0;  // of vectors that clang would split unless told; 0: it does not
};

// Within an architecture the better for integer kernels comes later.
std::span<const IsaFeatureRow> IsaFeatures();

// "avx512vnni"; and the names of all features in a mask, in the order of the table.
std::string_view Name(IsaFeature feature);
std::vector<std::string> Names(IsaMask mask);
bool ParseIsaFeature(std::string_view name, IsaFeature& feature);

// What clang is told so that code has the instructions of these features and no others.
struct ClangInstructions {
  std::string cpu;                    // "x86-64-v3"
  std::vector<std::string> features;  // beside: "+avxvnni"
  std::int32_t vector_bits = 0;       // that are preferred; 0: clang decides
};
ClangInstructions InstructionsOf(std::string_view arch, IsaMask isa);

// The same for the command lines of clang 14 and gcc 12 and later: "-march=x86-64-v3 -mavxvnni".
std::string CompilerFlagsOf(std::string_view arch, IsaMask isa);

// What the machine that runs this code has, operating system support included.
IsaMask DetectIsa();

}  // namespace kiln
