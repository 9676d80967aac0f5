#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kiln {

// What CPUID leaf 1 says of an x86 processor, the extended fields folded in.
struct X86Signature {
  std::string vendor;  // "GenuineIntel"
  std::uint32_t family = 0, model = 0, stepping = 0;
};
X86Signature DecodeX86Signature(std::string_view vendor, std::uint32_t eax);

// What clang calls the processor: "cascadelake"; empty if this table does not know it. Source of
// the numbers: Intel's Software Developer's Manual volume 4, table 2-1; AMD's Processor Programming
// References.
std::string_view X86CpuName(const X86Signature& signature);

// The same for the main ID register of an Arm processor: "cortex-a72".
std::string_view ArmCpuName(std::uint64_t midr);

// Data caches as Linux lists them in a directory like /sys/devices/system/cpu/cpu0/cache; 0: not
// listed.
struct CacheSizes {
  std::int64_t l1_bytes = 0, l2_bytes = 0, l3_bytes = 0;
};
CacheSizes ReadCacheSizes(const std::string& directory);

}  // namespace kiln
