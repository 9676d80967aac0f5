#include "rpc_client/random_id.h"

#include <cstdint>
#include <random>

#include "base/digest.h"

namespace kiln {

std::string RandomId() {
  std::random_device random;
  const auto word = [&random] { return (std::uint64_t{random()} << 32) | random(); };
  const std::uint64_t high = (word() & ~0xf000ull) | 0x4000;
  const std::uint64_t low = (word() & ~(3ull << 62)) | (2ull << 62);
  std::string id = Hex(high) + Hex(low);
  for (const std::size_t at : {20, 16, 12, 8}) id.insert(at, "-");
  return id;
}

double RandomFraction() {
  std::random_device random;
  const std::uint64_t word = (std::uint64_t{random()} << 32) | random();
  return static_cast<double>(word >> 11) * 0x1.0p-53;
}

}  // namespace kiln
