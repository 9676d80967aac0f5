#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "proto/security.h"

namespace kiln {

// Certificates, as the files and the text (PEM) that they come in. What scripts/make-certs makes is
// what is expected here. All functions are thread-safe.

// What a certificate says, whoever may have signed it.
struct Certificate {
  std::optional<Principal> principal;  // nothing: it does not name exactly one role of Kiln
  std::vector<std::string> hosts;      // names and addresses of hosts that it is for
  std::string authority;               // who says it has signed it: "Kiln farm 1017679b"
  WallTime not_before, not_after;
};

// Of the first certificate in the text; kInvalidArgument if there is none.
StatusOr<Certificate> ReadCertificate(std::string_view pem);

// Of the certificate in a file; the message of an error names it. kNotFound, kInvalidArgument.
StatusOr<Certificate> ReadCertificateFile(const std::string& path);

std::string Describe(const Principal& principal);  // "client ann"
std::string Day(WallTime time);                    // "2026-11-25", in UTC

// Whether a program can start with these files at this time, in the `role` if one is given: an
// admin's certificate is good for a client too. Without any file all is well. Says in words for a
// person what is wrong first:
//   kInvalidArgument     an option is missing beside another, a file is not what it should be, the
//                        key is of another certificate, the list of the revoked of another authority
//   kNotFound            a file is not there
//   kPermissionDenied    a file cannot be read
//   kFailedPrecondition  the certificate is of another authority, not valid now, revoked, of no role
//                        or of another one
Status CheckTlsFiles(const TlsFiles& files, std::optional<Role> role, WallTime now);

// This is who a server's peers are, for each call: the handshake has only looked at the chain, and
// once for a connection that may last for months. Thread-safe.
class PeerBook {
 public:
  virtual ~PeerBook() = default;

  // Whose the certificate is; its chain has been checked at the handshake. kUnauthenticated, with
  // words for the peer, if it names no role, has been revoked or is not valid now. What has been seen
  // costs a lookup.
  virtual StatusOr<Principal> Identify(std::string_view certificate_pem) = 0;

  // Another number whenever the list of what is revoked has become another one: time to identify the
  // peers of open streams anew. Certificates also expire without that, so look at open streams every
  // few minutes in any case.
  virtual std::uint64_t generation() = 0;
};

// Of the authority and the list of the revoked in `files`; without a list nothing is revoked. The two
// files are looked at again, at most once a second, when one of the functions is called. One that
// cannot be used leaves everything as it was, and `report` is called once, with a line for the log. The clock must
// outlive the book. Errors as of CheckTlsFiles().
StatusOr<std::unique_ptr<PeerBook>> OpenPeerBook(const TlsFiles& files, const Clock& clock,
                                                 std::function<void(const std::string&)> report);

}  // namespace kiln
