#include "measure/uuid.h"

#include <cstdint>
#include <random>

#include "base/digest.h"

namespace kiln {
namespace {

// RFC 4122, 4.4: version 4 in the high half, variant 10 in the low half.
std::string Format(std::uint64_t high, std::uint64_t low) {
  high = (high & ~std::uint64_t{0xF000}) | 0x4000;
  low = (low & ~(std::uint64_t{3} << 62)) | (std::uint64_t{1} << 63);
  const std::string digits = Hex(high) + Hex(low);
  return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-" + digits.substr(12, 4) + "-" +
         digits.substr(16, 4) + "-" + digits.substr(20);
}

}  // namespace

std::string RandomUuid() {
  thread_local std::random_device source;
  const auto half = [] { return std::uint64_t{source()} << 32 | source(); };
  const std::uint64_t high = half();
  return Format(high, half());
}

std::string DeterministicUuid(Rng& rng) {
  const std::uint64_t high = rng.Next();
  return Format(high, rng.Next());
}

}  // namespace kiln
