#include <sched.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "ops/processor.h"
#include "ops/target.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace kiln {
namespace {

constexpr char kCpuDirectory[] = "/sys/devices/system/cpu/cpu";

// The processors that this process may run on.
struct AllowedCores {
  std::int32_t first = 0, count = 1;
};

StatusOr<AllowedCores> FindAllowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) {
    return Error(StatusCode::kUnavailable, "sched_getaffinity: ", std::strerror(errno));
  }
  AllowedCores cores;
  cores.count = CPU_COUNT(&set);
  while (cores.first < CPU_SETSIZE - 1 && !CPU_ISSET(cores.first, &set)) ++cores.first;
  return cores;
}

#if defined(__x86_64__)

constexpr char kArch[] = "x86_64";

std::string DetectCpu(IsaMask isa, const AllowedCores&) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  char vendor[12] = {};
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) != 0) {
    std::memcpy(vendor, &ebx, 4);
    std::memcpy(vendor + 4, &edx, 4);
    std::memcpy(vendor + 8, &ecx, 4);
  }
  __get_cpuid(1, &eax, &ebx, &ecx, &edx);
  const X86Signature signature = DecodeX86Signature({vendor, sizeof vendor}, eax);
  if (const std::string_view name = X86CpuName(signature); !name.empty()) return std::string(name);
  if (Has(isa, IsaFeature::kAvx512)) return "x86-64-v4";
  if (Has(isa, IsaFeature::kAvx2)) return "x86-64-v3";
  return (ecx & bit_SSE4_2) != 0 ? "x86-64-v2" : "x86-64";
}

#elif defined(__aarch64__)

constexpr char kArch[] = "aarch64";

std::string DetectCpu(IsaMask, const AllowedCores& cores) {
  std::ifstream file(kCpuDirectory + std::to_string(cores.first) + "/regs/identification/midr_el1");
  std::uint64_t midr = 0;
  file >> std::hex >> midr;
  const std::string_view name = ArmCpuName(midr);
  return name.empty() ? "generic" : std::string(name);
}

#else
#error "Kiln knows x86-64 and aarch64"
#endif

}  // namespace

StatusOr<Target> DetectNative() {
  ASSIGN_OR_RETURN(const AllowedCores cores, FindAllowedCores());
  Target target;
  target.arch = kArch;
  target.isa = DetectIsa();
  target.cpu = DetectCpu(target.isa, cores);
  target.cores = cores.count;
  target.summary = "this machine";
  target.name = target.cpu;
  // The best feature decides which integer kernels a machine gets.
  const std::vector<std::string> features = Names(target.isa);
  if (!features.empty()) target.name += "-" + features.back();
  // What is not listed (a container without sysfs) keeps the defaults of Target.
  const CacheSizes caches = ReadCacheSizes(kCpuDirectory + std::to_string(cores.first) + "/cache");
  if (caches.l1_bytes > 0) {
    target.l1_bytes = caches.l1_bytes;
    target.l2_bytes = caches.l2_bytes;
    target.l3_bytes = caches.l3_bytes;
  }
  return target;
}

}  // namespace kiln
