#include "proto/transport.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/sanitizer.h"
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

// A peer that connects and says nothing; a connection without a call.
constexpr std::chrono::milliseconds kHandshakeTimeout{10'000};
constexpr std::chrono::milliseconds kIdle{300'000};
constexpr unsigned kCertificateSeconds = 1;
// A connection keeps the certificates that it was made with. Calls that begin later than this go over
// a new one, with those that are in the files then; calls under way are not concerned.
constexpr std::chrono::milliseconds kTlsConnectionAge{300'000};
// What a connection takes here for TLS.
constexpr std::size_t kTlsBytes = 104 << 10;

// Of answers: outputs of kernels, or the list of all devices.
constexpr int kMaxReplyBytes = 64 << 20;

constexpr std::size_t kMaxNameBytes = 128;
constexpr std::size_t kMaxTextBytes = 256;

int Count(std::chrono::milliseconds time) { return static_cast<int>(time.count()); }

// gRPC 1.51 tries out to read into 8 kB a connection, whatever it is told, unless it is told this.
// Before main(), since other threads may not look at the environment meanwhile.
[[maybe_unused]] const int kNoReadChunks = setenv("GRPC_EXPERIMENTS", "-tcp_read_chunks", 0);

// gRPC explains every failed attempt on standard error, in long lines; what matters comes back as a
// status. GRPC_VERBOSITY brings its lines back. Protobuf writes a line there of each text that is not
// UTF-8, as often as a peer likes, and waits while nobody reads them.
void KeepLogShort() {
  google::protobuf::SetLogHandler(nullptr);
  // Debian's abseil looks for deadlocks at every lock of gRPC's, which is a seventh of what a tracker
  // does for a lease.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
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

// The files are read again within a second of their change. A channel's own watcher would be a thread
// for each.
std::shared_ptr<grpc::experimental::CertificateProviderInterface> Certificates(
    const TlsFiles& files) {
  using Key = std::tuple<std::string, std::string, std::string>;
  static std::mutex mutex;
  static std::map<Key, std::weak_ptr<grpc::experimental::FileWatcherCertificateProvider>> known;
  std::lock_guard lock(mutex);
  auto& entry = known[Key(files.ca, files.cert, files.key)];
  if (auto provider = entry.lock()) return provider;
  auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key, files.cert, files.ca, kCertificateSeconds);
  entry = provider;
  return provider;
}

std::shared_ptr<grpc::ServerCredentials> CredentialsToListen(const ListenOptions& options) {
  if (!options.tls.enabled() || IsUnixAddress(options.address)) {
    return grpc::InsecureServerCredentials();
  }
  grpc::experimental::TlsServerCredentialsOptions tls(Certificates(options.tls));
  tls.watch_root_certs();
  tls.watch_identity_key_cert_pairs();
  tls.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(tls);
}

std::shared_ptr<grpc::ChannelCredentials> CredentialsToDial(const std::string& address,
                                                            const DialOptions& options) {
  if (!options.tls.enabled() || IsUnixAddress(address)) return grpc::InsecureChannelCredentials();
  grpc::experimental::TlsChannelCredentialsOptions tls;
  tls.set_certificate_provider(Certificates(options.tls));
  tls.watch_root_certs();
  tls.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(tls);
}

// A gRPC server behind a listener of ours.
class GrpcServer final : public RpcServer {
 public:
  using Acceptor = grpc::experimental::ExternalConnectionAcceptor;

  GrpcServer(std::unique_ptr<Listener> listener, std::unique_ptr<grpc::Server> server,
             std::unique_ptr<Acceptor> acceptor)
      : server_(std::move(server)), acceptor_(std::move(acceptor)), listener_(std::move(listener)) {
    listener_->Start([this](int descriptor) {
      Acceptor::NewConnectionParameters connection;
      connection.fd = descriptor;
      acceptor_->HandleNewConnection(&connection);
    });
  }
  ~GrpcServer() override {
    listener_.reset();
    // Calls under way are cancelled at once: a peer that matters asks again.
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }
  const std::string& address() const override { return listener_->address(); }

 private:
  const std::unique_ptr<grpc::Server> server_;
  const std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<Listener> listener_;
};

void SetLimits(grpc::ServerBuilder& builder, const Traffic& traffic) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(traffic.message_bytes));
  builder.SetMaxSendMessageSize(kMaxReplyBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, traffic.calls_per_connection);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Count(kKeepaliveTime));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Count(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Count(kKeepaliveTime) / 2);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Count(kHandshakeTimeout));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Count(kIdle));
  // Without a probe of the line's bandwidth a connection's window stays small, and with it what lies
  // here unread.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // A compressed message could be a thousand times as long as it looks. Nobody sends such ones.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  if (traffic.buffer_bytes == 0) return;
  builder.AddChannelArgument(GRPC_ARG_TCP_READ_CHUNK_SIZE, traffic.buffer_bytes);
  builder.AddChannelArgument(GRPC_ARG_TCP_MIN_READ_CHUNK_SIZE, traffic.buffer_bytes / 4);
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, traffic.buffer_bytes);
  builder.AddChannelArgument(GRPC_ARG_TSI_MAX_FRAME_SIZE, 4 * traffic.buffer_bytes);
}

}  // namespace

Status CheckProtocol(int version, std::string_view who, std::string_view self) {
  if (version >= kOldestProtocolVersion && version <= kProtocolVersion) return absl::OkStatus();
  const std::string_view older = version < kProtocolVersion ? who : self;
  return Error(StatusCode::kFailedPrecondition, who, " speaks protocol version ", version, ", ",
               self, " (Kiln ", kVersion, ") ", kProtocolVersion, ": upgrade ", older);
}

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
}

bool IsText(std::string_view text) {
  return text.size() <= kMaxTextBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) >= ' ' && c != 127;
         });
}

StatusOr<std::unique_ptr<RpcServer>> Listen(const ListenOptions& options,
                                            const std::vector<grpc::Service*>& services) {
  if (CheckAddressForm(options.address).ok() && !IsLocalAddress(options.address) &&
      !options.tls.enabled() && !options.insecure) {
    return Error(StatusCode::kPermissionDenied, "refusing to listen on ", options.address,
                 " without TLS: whoever reaches it could run native code here; give --cert, --key "
                 "and --ca (scripts/make-certs makes them), or listen on 127.0.0.1, or give "
                 "--insecure on a network you trust");
  }
  MemoryLimit memory = options.traffic.memory;
  if (options.tls.enabled()) memory.bytes_per_connection += kTlsBytes;
  memory.bytes = SanitizedBytes(memory.bytes);
  memory.bytes_per_connection *= kSanitizerFactor;
  ASSIGN_OR_RETURN(std::unique_ptr<Listener> listener, OpenListener(options.address, memory));
  KeepLogShortOnce();
  grpc::ServerBuilder builder;
  auto acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      CredentialsToListen(options));
  SetLimits(builder, options.traffic);
  if (options.tls.enabled()) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Count(kTlsConnectionAge));
  }
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) {
    return Error(StatusCode::kInternal, "cannot serve on ", options.address,
                 ": gRPC does not start");
  }
  return std::make_unique<GrpcServer>(std::move(listener), std::move(server), std::move(acceptor));
}

std::shared_ptr<grpc::Channel> Dial(const std::string& address, const DialOptions& options) {
  KeepLogShortOnce();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReplyBytes);
  arguments.SetMaxSendMessageSize(static_cast<int>(kMaxMessageBytes));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Count(kKeepaliveTime));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Count(kKeepaliveTimeout));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Count(kFirstPause));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Count(kLongestPause));
  // In spite of its name this is the time that an attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Count(kConnectTimeout));
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // a farm is not behind the web's proxy
  // As the servers do: see SetLimits().
  arguments.SetInt(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  // Two channels to one address have connections of their own: a new channel has new certificates.
  if (options.tls.enabled()) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!options.host.empty()) arguments.SetSslTargetNameOverride(options.host);
  return grpc::CreateCustomChannel(address, CredentialsToDial(address, options), arguments);
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
