#pragma once

#include <cstdint>
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

// "avx512vnni"; and all names in a mask, lowest bit first.
std::string_view Name(IsaFeature feature);
std::vector<std::string> Names(IsaMask mask);
bool ParseIsaFeature(std::string_view name, IsaFeature& feature);

// What the machine that runs this code has, operating system support included.
IsaMask DetectIsa();

}  // namespace kiln
