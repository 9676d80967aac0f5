#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kiln {

// The helper's side of HelperProcess: frames (a 32-bit little-endian length, then that many bytes)
// on a stream socket. Needs nothing but the C library. Both return false at the end of the stream
// or on an error; frames over kMaxFrame bytes are refused.
inline constexpr std::uint32_t kMaxFrame = 1u << 30;
bool ReadFrame(int fd, std::string& frame);
bool WriteFrame(int fd, std::string_view frame);

// The descriptor at which a helper finds its socket.
inline constexpr int kHelperSocket = 3;

}  // namespace kiln
