#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kiln {

// XXH64 (seed 0) of the bytes. Not a defence against an attacker: a name for content.
std::uint64_t Digest(const void* data, std::size_t size);
std::uint64_t Digest(std::string_view bytes);

// 16 lower-case hex digits, most significant first.
std::string Hex(std::uint64_t digest);

}  // namespace kiln
