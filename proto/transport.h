#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace grpc {
class Channel;
class Service;
class Status;
}  // namespace grpc

namespace kiln {

// An address is HOST:PORT, [IPV6]:PORT or unix:PATH.

// The largest message that either side takes; a larger one ends the call with kResourceExhausted.
inline constexpr int kMaxMessageBytes = 64 << 20;

// The version in tracker.proto, and what this build calls itself: "kiln-server 0.1.0".
inline constexpr int kProtocolVersion = 3;

// kFailedPrecondition if the two versions differ, with the side to upgrade; `who` is the other side.
Status CheckProtocol(int version, std::string_view who);

// Whether the text can name a device, a target, a client or a lease: 1 to 128 printable characters
// without spaces.
bool IsName(std::string_view text);

// Whether a server can be dialled at the address: a port from 1 to 65535, a path that fits a socket.
// kInvalidArgument says what is wrong.
Status CheckAddress(std::string_view address);

// Whether only programs on this machine reach the address: 127.0.0.0/8, ::1, localhost, unix:.
bool IsLocalAddress(std::string_view address);

// The address under which others reach a server that listens on `address` and that they see as
// `peer` (gRPC's notation, "ipv4:10.0.0.7:40123"): a wildcard host becomes the peer's.
std::string ReachableAddress(std::string_view address, std::string_view peer);

struct ListenOptions {
  std::string address = "127.0.0.1:0";  // port 0: the system picks
  bool insecure = false;                // allow a non-local address without TLS
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

// A channel that connects when first used and reconnects by itself, within a second or two, with
// keepalive: a peer that is gone without a word is noticed after about fifteen seconds.
std::shared_ptr<grpc::Channel> Dial(const std::string& address);

// Between the two types of status; the codes are the same numbers. But FromGrpc() makes kCancelled
// kUnavailable: a server that shuts down cancels the calls under way, and a client that cancels a
// call of its own does not ask how it ended.
grpc::Status ToGrpc(const Status& status);
Status FromGrpc(const grpc::Status& status);

}  // namespace kiln
