#include "tests/integration/cuttable_link.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <vector>

namespace kiln {
namespace {

constexpr char kUnix[] = "unix:";
constexpr std::size_t kPiece = 64 << 10;

// An address as the system takes it: of this machine, numbers only.
struct Name {
  explicit Name(const std::string& address) {
    if (address.starts_with(kUnix)) {
      auto& local = reinterpret_cast<sockaddr_un&>(storage);
      local.sun_family = AF_UNIX;
      const std::string path = address.substr(sizeof kUnix - 1);
      EXPECT_LT(path.size(), sizeof local.sun_path) << path;
      std::strncpy(local.sun_path, path.c_str(), sizeof local.sun_path - 1);
      size = sizeof local;
    } else {
      auto& inet = reinterpret_cast<sockaddr_in&>(storage);
      inet.sin_family = AF_INET;
      inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      inet.sin_port =
          htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
      size = sizeof inet;
    }
  }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int Socket() const { return socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0); }
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// -1: nobody listens there.
int Connect(const std::string& address) {
  Name name(address);
  const int socket = name.Socket();
  if (connect(socket, name.get(), name.size) == 0) return socket;
  close(socket);
  return -1;
}

// So that a small piece does not wait for the acknowledgement of the one before it.
void SendAtOnce(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails for a Unix socket
}

}  // namespace

CuttableLink::CuttableLink(const std::string& listen, const std::string& server)
    : server_(server), address_(listen), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  Name name(listen);
  listener_ = name.Socket();
  EXPECT_EQ(bind(listener_, name.get(), name.size), 0) << listen << ": " << std::strerror(errno);
  EXPECT_EQ(::listen(listener_, SOMAXCONN), 0);
  if (!listen.starts_with(kUnix)) {
    sockaddr_in bound{};
    socklen_t size = sizeof bound;
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size), 0);
    address_ = listen.substr(0, listen.rfind(':') + 1) + std::to_string(ntohs(bound.sin_port));
  }
  thread_ = std::thread([this] { Carry(); });
}

CuttableLink::~CuttableLink() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
  for (const Connection& connection : connections_) {
    close(connection.there.from);
    close(connection.there.to);
  }
  close(listener_);
  close(wake_);
}

void CuttableLink::Cut() {
  std::lock_guard lock(mutex_);
  cut_ = true;
  Wake();
}

void CuttableLink::Restore() {
  std::lock_guard lock(mutex_);
  cut_ = false;
  Wake();
}

void CuttableLink::Wake() const {
  const std::uint64_t one = 1;
  EXPECT_EQ(write(wake_, &one, sizeof one), static_cast<ssize_t>(sizeof one));
}

void CuttableLink::Carry() {
  std::vector<pollfd> waits;
  while (true) {
    waits.assign({{wake_, POLLIN, 0}});
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      if (!cut_) AddWaits(waits);
    }
    poll(waits.data(), waits.size(), -1);
    std::uint64_t wakes = 0;
    (void)!read(wake_, &wakes, sizeof wakes);
    std::lock_guard lock(mutex_);
    if (cut_ || stopping_) continue;
    if (waits.back().fd == listener_ && (waits.back().revents & POLLIN) != 0) Accept();
    for (auto connection = connections_.begin(); connection != connections_.end();) {
      if (Move(*connection)) {
        ++connection;
        continue;
      }
      close(connection->there.from);
      close(connection->there.to);
      connection = connections_.erase(connection);
    }
  }
}

// The listener comes last.
void CuttableLink::AddWaits(std::vector<pollfd>& waits) const {
  for (const Connection& connection : connections_) {
    for (const Direction* direction : {&connection.there, &connection.back}) {
      if (!direction->bytes.empty()) {
        waits.push_back({direction->to, POLLOUT, 0});
      } else if (!direction->ended) {
        waits.push_back({direction->from, POLLIN, 0});
      }
    }
  }
  waits.push_back({listener_, POLLIN, 0});
}

void CuttableLink::Accept() {
  const int near = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (near < 0) return;
  const int far = Connect(server_);
  if (far < 0) {
    close(near);
    return;
  }
  SendAtOnce(near);
  SendAtOnce(far);
  connections_.push_back({{near, far, {}}, {far, near, {}}});
}

// False: the connection is broken.
bool CuttableLink::Move(Direction& direction) {
  const auto later = [] { return errno == EAGAIN || errno == EINTR; };
  while (true) {
    while (!direction.bytes.empty()) {
      const ssize_t sent = send(direction.to, direction.bytes.data(), direction.bytes.size(),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0) return later();
      direction.bytes.erase(0, static_cast<std::size_t>(sent));
    }
    if (direction.ended) return true;
    direction.bytes.resize(kPiece);
    const ssize_t got = recv(direction.from, direction.bytes.data(), kPiece, MSG_DONTWAIT);
    direction.bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got < 0) return later();
    if (got > 0) continue;
    direction.ended = true;
    shutdown(direction.to, SHUT_WR);
  }
}

// False: it is over.
bool CuttableLink::Move(Connection& connection) {
  return Move(connection.there) && Move(connection.back) &&
         !(connection.there.ended && connection.back.ended);
}

std::string MoveAside(const std::string& address) {
  const std::size_t skip = sizeof kUnix - 1;
  std::string moved = address + ".moved";
  std::filesystem::rename(address.substr(skip), moved.substr(skip));
  return moved;
}

}  // namespace kiln
