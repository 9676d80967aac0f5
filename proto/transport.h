#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "proto/address.h"
#include "proto/listener.h"
#include "proto/security.h"

namespace grpc {
class Channel;
class Service;
class Status;
}  // namespace grpc

namespace kiln {

// The largest message that a device takes, and a tracker: a larger one ends the call with
// kResourceExhausted.
inline constexpr std::size_t kMaxMessageBytes = 32 << 20;
inline constexpr std::size_t kMaxTrackerMessageBytes = 64 << 10;

// The version in tracker.proto, and what this build calls itself: "kiln-server 0.1.0".
inline constexpr int kProtocolVersion = 4;
// The oldest one whose speakers are answered, in its words.
inline constexpr int kOldestProtocolVersion = 3;
// The first one that knows KIND_HOST_KILLED.
inline constexpr int kProtocolWithHostKilled = 4;

// Metadata of a Measure call (device.proto).
inline constexpr char kProtocolMetadata[] = "kiln-protocol";
inline constexpr char kLeaseMetadata[] = "kiln-lease";
inline constexpr char kEpochMetadata[] = "kiln-epoch";

// Whether this side can answer one that speaks `version`: kFailedPrecondition says which side to
// upgrade. `who` is the other side, `self` this one, both as either of them calls it: "the device".
Status CheckProtocol(int version, std::string_view who, std::string_view self);

// Whether the text can name a device, a target, a client or a lease: 1 to 128 printable characters
// without spaces.
bool IsName(std::string_view text);

// Whether the text can be shown to people on one line: at most 256 bytes, no control characters.
bool IsText(std::string_view text);

// What a server takes from all its peers together.
struct Traffic {
  std::size_t message_bytes = kMaxTrackerMessageBytes;
  int calls_per_connection = 512;  // at a time; further ones wait at the caller
  int buffer_bytes = 1024;         // that a connection reads into and keeps; 0: what gRPC likes
  MemoryLimit memory;              // in plaintext: what TLS needs for itself is added
};
inline constexpr Traffic kTrackerTraffic{};
inline constexpr Traffic kDeviceTraffic{kMaxMessageBytes, 64, 0, {144 << 20, 65536}};

struct ListenOptions {
  std::string address = "127.0.0.1:0";  // port 0: the system picks
  bool insecure = false;                // allow a non-local address without TLS
  TlsFiles tls = {};                    // not for Unix sockets, which their directory protects
  Traffic traffic = {};
};

// This is a listening gRPC server; its destructor refuses new calls and cancels those under way.
class RpcServer {
 public:
  virtual ~RpcServer() = default;
  virtual const std::string& address() const = 0;  // the real port
};

// Serves `services`, at least one, which are borrowed and must outlive the server.
//   kInvalidArgument     not an address, or a path that is too long for a socket
//   kPermissionDenied    a non-local address without TLS and without `insecure`
//   kUnavailable         what the system says: in use, not of this machine, not permitted, ...
StatusOr<std::unique_ptr<RpcServer>> Listen(const ListenOptions& options,
                                            const std::vector<grpc::Service*>& services);

struct DialOptions {
  TlsFiles tls = {};  // not used for Unix sockets
  // The host name that the server's certificate must be valid for; empty: the address's.
  std::string host = {};
};

// A channel that connects when first used and reconnects by itself, within a second or two, with
// keepalive: a peer that is gone without a word is noticed after about fifteen seconds. Certificates
// are read again when their files change.
std::shared_ptr<grpc::Channel> Dial(const std::string& address, const DialOptions& options = {});

// Between the two types of status; the codes are the same numbers. But FromGrpc() makes kCancelled
// kUnavailable: a server that shuts down cancels the calls under way, and a client that cancels a
// call of its own does not ask how it ended.
grpc::Status ToGrpc(const Status& status);
Status FromGrpc(const grpc::Status& status);

}  // namespace kiln
