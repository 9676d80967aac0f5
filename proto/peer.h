#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "proto/security.h"

namespace grpc {
class ServerContextBase;
}

namespace kiln {

// Who makes a call.
struct Peer {
  std::string connection;              // gRPC's notation: "ipv4:10.0.0.7:40123"
  std::optional<Principal> principal;  // whose credential; none in plaintext
  std::string certificate;             // of that credential, PEM

  // Who is held responsible: "client/ann" by credential, else by host, "@10.0.0.7". Shares, quotas
  // and the ownership of names and leases go by it.
  std::string party() const;
  // For the log: "client ann at ipv4:10.0.0.7:40123".
  std::string Describe() const;
};

// This decides who may call what on a server: by credential where it speaks TLS (a certificate that
// has expired or been revoked since its connection was made is refused too); in plaintext everybody
// may call everything. Thread-safe.
class PeerCheck {
 public:
  virtual ~PeerCheck() = default;

  // Of a call of `method`, for those with one of these roles. kUnauthenticated, kPermissionDenied,
  // or kResourceExhausted: this caller calls too often.
  virtual StatusOr<Peer> Admit(const grpc::ServerContextBase& context, const char* method,
                               std::initializer_list<Role> roles) = 0;
  // Whether a caller that was admitted still is: for calls that last.
  virtual Status Recheck(const Peer& peer) = 0;
  // Changes when what Recheck() says may have changed.
  virtual std::uint64_t generation() = 0;
};

struct CallRate {
  double per_second = 5000;
  double burst = 10'000;
};

// `tls` as the server listens with: without it, everybody is admitted. The clock must outlive the
// check. An error says which file is wrong, and how.
StatusOr<std::unique_ptr<PeerCheck>> NewPeerCheck(const TlsFiles& tls, const Clock& clock,
                                                  const CallRate& rate = {});

}  // namespace kiln
