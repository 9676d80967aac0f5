#pragma once

#include <cstddef>
#include <vector>

namespace kiln {

// One message with file descriptors over a Unix socket, see unix(7), SCM_RIGHTS. False if the other
// end has gone.
bool SendWithDescriptors(int socket, const void* bytes, std::size_t size,
                         const std::vector<int>& descriptors);

// The next message, of exactly `size` bytes, and the descriptors that came with it, which the caller
// owns. False at the end of the stream or if another message came.
bool ReceiveWithDescriptors(int socket, void* bytes, std::size_t size,
                            std::vector<int>& descriptors);

template <typename Message>
bool SendWithDescriptors(int socket, const Message& message, const std::vector<int>& descriptors) {
  return SendWithDescriptors(socket, &message, sizeof message, descriptors);
}
template <typename Message>
bool ReceiveWithDescriptors(int socket, Message& message, std::vector<int>& descriptors) {
  return ReceiveWithDescriptors(socket, &message, sizeof message, descriptors);
}

}  // namespace kiln
