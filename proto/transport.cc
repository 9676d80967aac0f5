#include "proto/transport.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#include "base/version.h"
#include "proto/tracker.pb.h"

namespace kiln {
namespace {

static_assert(kProtocolVersion == v1::PROTOCOL_VERSION);

constexpr std::chrono::milliseconds kKeepaliveTime{5000};
constexpr std::chrono::milliseconds kKeepaliveTimeout{10'000};
// How long one attempt to connect may take, however busy the other machine is; and the pauses
// between attempts.
constexpr std::chrono::milliseconds kConnectTimeout{5000};
constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::milliseconds kLongestPause{1000};

constexpr std::size_t kMaxNameBytes = 128;

int Count(std::chrono::milliseconds time) { return static_cast<int>(time.count()); }

struct HostPort {
  std::string host;  // without brackets
  int port = 0;
};

std::optional<HostPort> Split(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  HostPort split{std::string(address.substr(0, colon)), 0};
  const std::string_view port = address.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), split.port);
  if (error != std::errc() || end != port.data() + port.size() || split.port < 0 ||
      split.port > 65535) {
    return std::nullopt;
  }
  if (split.host.size() > 2 && split.host.front() == '[' && split.host.back() == ']') {
    split.host = split.host.substr(1, split.host.size() - 2);
  } else if (split.host.empty() || split.host.find(':') != std::string::npos) {
    return std::nullopt;
  }
  return split;
}

std::string Join(std::string_view host, int port) {
  const bool brackets = host.find(':') != std::string_view::npos;
  return (brackets ? "[" + std::string(host) + "]" : std::string(host)) + ":" +
         std::to_string(port);
}

constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kLongestPath = sizeof sockaddr_un::sun_path - 1;

bool IsUnix(std::string_view address) { return address.starts_with(kUnix); }

std::string_view PathOf(std::string_view address) { return address.substr(kUnix.size()); }

// Of an address to listen on or to dial.
Status CheckForm(std::string_view address) {
  if (!IsUnix(address)) {
    if (Split(address)) return absl::OkStatus();
    return Error(StatusCode::kInvalidArgument, "want HOST:PORT or unix:PATH");
  }
  if (PathOf(address).empty()) return Error(StatusCode::kInvalidArgument, "want unix:PATH");
  if (PathOf(address).size() <= kLongestPath) return absl::OkStatus();
  return Error(StatusCode::kInvalidArgument, "a socket's path has at most ", kLongestPath,
               " bytes, this one ", PathOf(address).size());
}

int BindUnix(std::string_view path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, kLongestPath);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int error =
      bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
  if (error == 0) unlink(name.sun_path);
  close(fd);
  return error;
}

int BindTcp(const addrinfo& found) {
  const int fd = socket(found.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int error = bind(fd, found.ai_addr, found.ai_addrlen) == 0 ? 0 : errno;
  close(fd);
  return error;
}

// gRPC does not say why it cannot listen; the system does when it is asked once more.
std::string WhyNotListening(std::string_view address) {
  int error = 0;
  if (IsUnix(address)) {
    error = BindUnix(PathOf(address));
  } else {
    const HostPort split = *Split(address);
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    const int unknown =
        getaddrinfo(split.host.c_str(), std::to_string(split.port).c_str(), &hints, &found);
    if (unknown != 0) return gai_strerror(unknown);
    error = BindTcp(*found);
    freeaddrinfo(found);
  }
  return error != 0 ? std::strerror(error) : "the system refuses";
}

// gRPC explains every failed attempt on standard error, in long lines; what matters comes back as a
// status. GRPC_VERBOSITY brings its lines back.
void KeepLogShort() {
  if (std::getenv("GRPC_VERBOSITY")) return;
  gpr_set_log_function([](gpr_log_func_args* line) {
    if (!std::strstr(line->message, "assertion failed")) return;
    std::fprintf(stderr, "gRPC: %s:%d: %s\n", line->file, line->line, line->message);
  });
}

void KeepLogShortOnce() {
  static std::once_flag once;
  std::call_once(once, KeepLogShort);
}

class GrpcServer final : public RpcServer {
 public:
  GrpcServer(std::unique_ptr<grpc::Server> server, std::string address)
      : server_(std::move(server)), address_(std::move(address)) {}
  ~GrpcServer() override {
    // Calls under way are cancelled at once: a peer that matters asks again.
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }
  const std::string& address() const override { return address_; }

 private:
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace

Status CheckProtocol(int version, std::string_view who) {
  if (version == kProtocolVersion) return absl::OkStatus();
  const std::string_view older = version < kProtocolVersion ? who : "this side";
  return Error(StatusCode::kFailedPrecondition, who, " speaks protocol version ", version,
               ", this side (Kiln ", kVersion, ") ", kProtocolVersion, ": upgrade ", older);
}

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
}

Status CheckAddress(std::string_view address) {
  Status form = CheckForm(address);
  if (form.ok() && !IsUnix(address) && Split(address)->port == 0) {
    form = Error(StatusCode::kInvalidArgument, "nobody can be dialled at port 0");
  }
  if (form.ok()) return form;
  return Error(form.code(), "`", address, "` is no address: ", Message(form));
}

bool IsLocalAddress(std::string_view address) {
  if (IsUnix(address)) return true;
  const std::optional<HostPort> split = Split(address);
  return split && (split->host == "localhost" || split->host == "::1" ||
                   (split->host.starts_with("127.") &&
                    split->host.find_first_not_of("0123456789.") == std::string::npos));
}

std::string ReachableAddress(std::string_view address, std::string_view peer) {
  const std::optional<HostPort> own = Split(address);
  if (IsUnix(address) || !own || (own->host != "0.0.0.0" && own->host != "::")) {
    return std::string(address);
  }
  const std::size_t scheme = peer.find(':');  // ipv4:1.2.3.4:5, ipv6:[::1]:5 or ipv6:%5B::1%5D:5
  if (scheme == std::string_view::npos) return std::string(address);
  std::string rest(peer.substr(scheme + 1));
  for (const auto& [code, text] : {std::pair{"%5B", "["}, std::pair{"%5D", "]"}}) {
    if (const auto at = rest.find(code); at != std::string::npos) rest.replace(at, 3, text);
  }
  const std::optional<HostPort> other = Split(rest);
  return other ? Join(other->host, own->port) : std::string(address);
}

StatusOr<std::unique_ptr<RpcServer>> Listen(const ListenOptions& options,
                                            const std::vector<grpc::Service*>& services) {
  const std::string& address = options.address;
  const std::optional<HostPort> split = Split(address);
  if (const Status form = CheckForm(address); !form.ok()) {
    return Error(form.code(), "cannot listen on '", address, "': ", Message(form));
  }
  if (!IsLocalAddress(address) && !options.insecure) {
    return Error(StatusCode::kPermissionDenied, "refusing to listen on ", address,
                 " without TLS: whoever reaches it could run native code here; "
                 "listen on 127.0.0.1, or give --insecure on a network you trust");
  }
  KeepLogShortOnce();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  // Two servers on one port would share its connections between them without a word.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Count(kKeepaliveTime));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Count(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Count(kKeepaliveTime) / 2);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || port == 0) {
    return Error(StatusCode::kUnavailable, "cannot listen on ", address, ": ",
                 WhyNotListening(address));
  }
  std::string actual = IsUnix(address) ? address : Join(split->host, port);
  return std::make_unique<GrpcServer>(std::move(server), std::move(actual));
}

std::shared_ptr<grpc::Channel> Dial(const std::string& address) {
  KeepLogShortOnce();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Count(kKeepaliveTime));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Count(kKeepaliveTimeout));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Count(kFirstPause));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Count(kLongestPause));
  // In spite of its name this is the time that an attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Count(kConnectTimeout));
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // a farm is not behind the web's proxy
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()), Message(status)};
}

Status FromGrpc(const grpc::Status& status) {
  if (status.error_code() == grpc::CANCELLED) {
    return Error(StatusCode::kUnavailable, "the server has ended the call");
  }
  return Status(static_cast<StatusCode>(status.error_code()), status.error_message());
}

}  // namespace kiln
