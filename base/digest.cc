#include "base/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kiln {

std::uint64_t Digest(const void* data, std::size_t size) { return XXH64(data, size, 0); }

std::uint64_t Digest(std::string_view bytes) { return Digest(bytes.data(), bytes.size()); }

std::string Hex(std::uint64_t digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, digest >>= 4) text[i] = kDigits[digest & 15];
  return text;
}

}  // namespace kiln
