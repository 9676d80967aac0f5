#include "kernel_host/descriptors.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace kiln {
namespace {

constexpr std::size_t kMaxDescriptors = 64;
using Control = std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))>;

}  // namespace

bool SendWithDescriptors(int socket, const void* bytes, std::size_t size,
                         const std::vector<int>& descriptors) {
  if (descriptors.size() > kMaxDescriptors) return false;
  alignas(cmsghdr) Control control{};
  iovec content{const_cast<void*>(bytes), size};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    const std::size_t length = descriptors.size() * sizeof(int);
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(length);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(length);
    std::memcpy(CMSG_DATA(header), descriptors.data(), length);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(size);
}

bool ReceiveWithDescriptors(int socket, void* bytes, std::size_t size,
                            std::vector<int>& descriptors) {
  alignas(cmsghdr) Control control{};
  iovec content{bytes, size};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t received;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return false;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t length = header->cmsg_len - CMSG_LEN(0);
    const std::size_t before = descriptors.size();
    descriptors.resize(before + length / sizeof(int));
    std::memcpy(descriptors.data() + before, CMSG_DATA(header), length);
  }
  return received == static_cast<ssize_t>(size);
}

}  // namespace kiln
