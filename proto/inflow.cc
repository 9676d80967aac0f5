#include "proto/inflow.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

namespace kiln {
namespace {

// Nullopt: not a socket (any more).
std::optional<std::uint64_t> CookieOf(int descriptor) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return std::nullopt;
  return cookie;
}

// Of a Unix socket the kernel keeps no count: 0.
std::uint64_t ReceivedBy(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received) {
    return 0;
  }
  return info.tcpi_bytes_received;
}

}  // namespace

void Inflow::Add(int descriptor, std::string peer) {
  const std::optional<std::uint64_t> cookie = CookieOf(descriptor);
  if (cookie) connections_.push_back({descriptor, *cookie, 0, std::move(peer)});
}

std::vector<Inflow::Sender> Inflow::Look(std::uint64_t least) {
  std::vector<Sender> senders;
  std::erase_if(connections_, [&](Connection& connection) {
    if (CookieOf(connection.descriptor) != connection.cookie) return true;
    const std::uint64_t received = ReceivedBy(connection.descriptor);
    const std::uint64_t since = received - std::exchange(connection.received, received);
    if (since >= least) {
      senders.push_back({connection.descriptor, connection.cookie, connection.peer, since});
    }
    return false;
  });
  std::sort(senders.begin(), senders.end(),
            [](const Sender& a, const Sender& b) { return a.bytes > b.bytes; });
  return senders;
}

bool Inflow::Cut(const Sender& sender) {
  return CookieOf(sender.descriptor) == sender.cookie &&
         shutdown(sender.descriptor, SHUT_RDWR) == 0;
}

}  // namespace kiln
