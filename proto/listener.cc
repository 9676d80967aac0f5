#include "proto/listener.h"

#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "proto/address.h"
#include "proto/inflow.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Descriptors that connections never get: for the program's files, helpers and pipes.
constexpr int kReservedDescriptors = 64;
constexpr int kBacklog = 4096;  // the system's own limit may be lower
// Between two looks at the memory: a peer on this machine sends 50 MB in the first, which is why
// the second is taken from half of what is allowed on.
constexpr milliseconds kTick{50}, kCloseTick{5};
// Between two looks at what each connection has sent.
constexpr seconds kLook{2};
// Between two returns of free memory to the system, which takes a while.
constexpr milliseconds kTrim{500};
// A connection that has sent less since then is not what fills the memory. But where that is a quarter
// more than allowed it may be those with hundreds of small calls, each of which takes kilobytes here.
constexpr std::uint64_t kMuch = 1 << 20, kSome = 64 << 10;
// Before the next try where the system has no descriptors or no memory.
constexpr milliseconds kPause{100};
// Between two lines of the same kind in the log.
constexpr seconds kQuiet{60};

SteadyTime Now() { return std::chrono::steady_clock::now(); }

std::size_t DescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  return static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 30));
}

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

// The memory of this program without the pages of files, such as the program itself. Its file stays
// open: memory is looked at when there are no descriptors left, too.
class AnonymousMemory {
 public:
  std::size_t bytes() const {
    char text[128] = "";
    unsigned long total = 0, resident = 0, shared = 0;
    if (pread(file_.number(), text, sizeof text - 1, 0) <= 0 ||
        std::sscanf(text, "%lu %lu %lu", &total, &resident, &shared) != 3) {
      return 0;
    }
    return (resident - std::min(resident, shared)) * static_cast<std::size_t>(getpagesize());
  }

 private:
  const Descriptor file_{open("/proc/self/statm", O_RDONLY | O_CLOEXEC)};
};

// A line in the log at most once in a while, with how often it would have been said.
class Complaint {
 public:
  template <typename... Args>
  void Say(spdlog::format_string_t<Args...> format, Args&&... args) {
    ++count_;
    const SteadyTime now = Now();
    if (said_ != SteadyTime() && now - said_ < kQuiet) return;
    said_ = now;
    const std::string text = fmt::format(format, std::forward<Args>(args)...);
    spdlog::warn("connections: {}{}", text,
                 count_ > 1 ? fmt::format(" ({} times since the last such line)", count_) : "");
    count_ = 0;
  }

 private:
  SteadyTime said_{};
  std::uint64_t count_ = 0;
};

// A server whose queue is full answers so, too.
bool SomebodyListens(const sockaddr* address, socklen_t size) {
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return connect(socket.number(), address, size) == 0 || errno == EAGAIN;
}

StatusOr<Descriptor> ListenOnUnix(std::string_view path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  const auto* address = reinterpret_cast<const sockaddr*>(&name);
  if (SomebodyListens(address, sizeof name)) {
    return Error(StatusCode::kUnavailable, "another program listens there: end it first");
  }
  struct stat found {};
  // What a server that was killed has left behind.
  if (lstat(name.sun_path, &found) == 0 && S_ISSOCK(found.st_mode)) unlink(name.sun_path);
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.number() < 0 || bind(socket.number(), address, sizeof name) != 0 ||
      listen(socket.number(), kBacklog) != 0) {
    return Error(StatusCode::kUnavailable, std::strerror(errno));
  }
  return socket;
}

// Of an accepted socket too, which inherits them: answers are sent at once, and a peer that does not
// acknowledge is noticed.
void SetOptions(int socket, int family) {
  const int one = 1, timeout_ms = 10'000;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
  const int both = 0;  // [::] takes IPv4 as well
  if (family == AF_INET6) setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both);
}

StatusOr<Descriptor> ListenOn(const addrinfo& found, int port) {
  sockaddr_storage name{};
  std::memcpy(&name, found.ai_addr, found.ai_addrlen);
  auto& field = found.ai_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(name).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(name).sin_port;
  field = htons(static_cast<std::uint16_t>(port));
  Descriptor socket(
      ::socket(found.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (socket.number() >= 0) SetOptions(socket.number(), found.ai_family);
  if (socket.number() < 0 ||
      bind(socket.number(), reinterpret_cast<const sockaddr*>(&name), found.ai_addrlen) != 0 ||
      listen(socket.number(), kBacklog) != 0) {
    return Error(StatusCode::kUnavailable, std::strerror(errno));
  }
  return socket;
}

int PortOf(const Descriptor& socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  getsockname(socket.number(), reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(name).sin6_port
                                          : reinterpret_cast<sockaddr_in&>(name).sin_port);
}

struct Bound {
  std::vector<Descriptor> sockets;
  std::string address;
};

// All addresses that the host has, on one port.
StatusOr<Bound> ListenOnTcp(const std::string& address) {
  const HostPort split = *SplitAddress(address);
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  const int unknown =
      getaddrinfo(split.host.c_str(), std::to_string(split.port).c_str(), &hints, &found);
  if (unknown != 0) return Error(StatusCode::kUnavailable, gai_strerror(unknown));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  Bound bound;
  int port = split.port;
  Status last = Error(StatusCode::kUnavailable, "the host has no address");
  for (const addrinfo* one = found; one; one = one->ai_next) {
    StatusOr<Descriptor> socket = ListenOn(*one, port);
    if (!socket.ok()) {
      last = socket.status();
      // A machine without IPv6 has "localhost" all the same.
      if (last.message() == std::strerror(EADDRINUSE)) return last;
      continue;
    }
    if (port == 0) port = PortOf(*socket);
    bound.sockets.push_back(*std::move(socket));
  }
  if (bound.sockets.empty()) return last;
  bound.address = JoinAddress(split.host, port);
  return bound;
}

StatusOr<Bound> Bind(const std::string& address) {
  if (!IsUnixAddress(address)) return ListenOnTcp(address);
  ASSIGN_OR_RETURN(Descriptor socket, ListenOnUnix(UnixPath(address)));
  Bound bound;
  bound.sockets.push_back(std::move(socket));
  bound.address = address;
  return bound;
}

std::string PeerOf(const sockaddr_storage& name, socklen_t size) {
  char host[NI_MAXHOST] = "";
  if (name.ss_family == AF_UNIX || getnameinfo(reinterpret_cast<const sockaddr*>(&name), size, host,
                                               sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) {
    return "this machine";
  }
  return host;
}

class PollListener final : public Listener {
 public:
  PollListener(Bound bound, const MemoryLimit& limit)
      : bound_(std::move(bound)), limit_(limit), stop_(eventfd(0, EFD_CLOEXEC)) {}

  ~PollListener() override {
    if (thread_.joinable()) {
      const std::uint64_t one = 1;
      (void)!write(stop_.number(), &one, sizeof one);
      thread_.join();
    }
    if (IsUnixAddress(bound_.address)) {
      unlink(std::string(UnixPath(bound_.address)).c_str());
    }
  }

  const std::string& address() const override { return bound_.address; }

  void Start(std::function<void(int)> take) override {
    take_ = std::move(take);
    thread_ = std::thread([this] { Run(); });
  }

 private:
  void Run() {
    std::vector<pollfd> waiting{{stop_.number(), POLLIN, 0}};
    for (const Descriptor& socket : bound_.sockets) {
      waiting.push_back({socket.number(), POLLIN, 0});
    }
    while (true) {
      poll(waiting.data(), waiting.size(), static_cast<int>((close_ ? kCloseTick : kTick).count()));
      if (waiting[0].revents != 0) return;
      for (std::size_t i = 1; i < waiting.size(); ++i) {
        if (waiting[i].revents != 0) AcceptAll(waiting[i].fd);
      }
      GuardMemory();
    }
  }

  // A bounded number, so that the memory is looked at while connections flood in.
  void AcceptAll(int listening) {
    for (int i = 0; i < 256; ++i) {
      sockaddr_storage name{};
      socklen_t size = sizeof name;
      const int socket = accept4(listening, reinterpret_cast<sockaddr*>(&name), &size,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (socket < 0) return Failed(errno);
      // The system gives out the lowest number that is free.
      if (static_cast<std::size_t>(socket) + kReservedDescriptors >= DescriptorLimit()) {
        close(socket);
        full_.Say(
            "a connection from {} refused: {} descriptors are in use, which leaves {} for files; "
            "raise the limit (ulimit -n, LimitNOFILE=) or find out who holds so many",
            PeerOf(name, size), socket, kReservedDescriptors);
        continue;
      }
      inflow_.Add(socket, PeerOf(name, size));
      take_(socket);
    }
  }

  void Failed(int error) {
    if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM) return;
    // The connection stays in the backlog, and poll() would return at once.
    failed_.Say("cannot accept connections now: {}; trying again", std::strerror(error));
    pollfd stop{stop_.number(), POLLIN, 0};
    poll(&stop, 1, static_cast<int>(kPause.count()));
  }

  void GuardMemory() {
    const SteadyTime now = Now();
    const std::size_t allowed = limit_.bytes + inflow_.size() * limit_.bytes_per_connection;
    std::size_t used = memory_.bytes();
    close_ = used > allowed / 2;
    if (used > allowed) {
      if (now - trimmed_ >= kTrim) {  // what is free already is not the peers' doing
        trimmed_ = now;
        malloc_trim(0);
        used = memory_.bytes();
      }
      if (used > allowed) return CutLargest(used, used > allowed + allowed / 4 ? kSome : kMuch);
    }
    if (now - looked_ >= kLook) {
      looked_ = now;
      inflow_.Look(kMuch);
    }
  }

  // Those that have sent about as much as the one that has sent most.
  void CutLargest(std::size_t used, std::uint64_t least) {
    looked_ = Now();
    const std::vector<Inflow::Sender> senders = inflow_.Look(least);
    for (const Inflow::Sender& sender : senders) {
      if (sender.bytes < senders.front().bytes / 2) break;
      if (!Inflow::Cut(sender)) continue;
      flood_.Say(
          "a connection from {} cut off: it has sent {} kB at once, and the program has {} MB",
          sender.peer, sender.bytes >> 10, used >> 20);
    }
  }

  const Bound bound_;
  const MemoryLimit limit_;
  const Descriptor stop_;
  std::function<void(int)> take_;
  const AnonymousMemory memory_;
  Inflow inflow_;
  SteadyTime looked_{}, trimmed_{};
  bool close_ = false;  // to what is allowed
  Complaint full_, failed_, flood_;
  std::thread thread_;
};

}  // namespace

StatusOr<std::unique_ptr<Listener>> OpenListener(const std::string& address,
                                                 const MemoryLimit& limit) {
  if (const Status form = CheckAddressForm(address); !form.ok()) {
    return Error(form.code(), "cannot listen on '", address, "': ", Message(form));
  }
  StatusOr<Bound> bound = Bind(address);
  if (!bound.ok()) {
    return Error(bound.status().code(), "cannot listen on ", address, ": ",
                 Message(bound.status()));
  }
  return std::make_unique<PollListener>(*std::move(bound), limit);
}

std::size_t RaiseDescriptorLimit() {
  rlimit limit{};
  // More would only make those slow that go through all descriptors.
  constexpr rlim_t kEnough = 1 << 20;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kEnough));
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  return DescriptorLimit();
}

}  // namespace kiln
