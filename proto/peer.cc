#include "proto/peer.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "proto/address.h"
#include "proto/call_meter.h"
#include "proto/certificates.h"

namespace kiln {
namespace {

// "client or admin".
std::string AnyOf(std::initializer_list<Role> roles) {
  std::string text;
  for (const Role role : roles) text += (text.empty() ? "" : " or ") + std::string(Name(role));
  return text;
}

// `book` is null in plaintext.
class BookPeerCheck final : public PeerCheck {
 public:
  BookPeerCheck(std::unique_ptr<PeerBook> book, const Clock& clock, const CallRate& rate)
      : book_(std::move(book)), clock_(clock), meter_(rate.per_second, rate.burst) {}

  StatusOr<Peer> Admit(const grpc::ServerContextBase& context, const char* method,
                       std::initializer_list<Role> roles) override {
    Peer peer{context.peer(), std::nullopt, ""};
    if (book_) RETURN_IF_ERROR(Identify(context, peer));
    // In plaintext every connection is a caller: a host's clients must not pay for one of them.
    if (!meter_.Take(book_ ? peer.party() : peer.connection, clock_.Now())) {
      return Error(StatusCode::kResourceExhausted, peer.Describe(),
                   " calls too often: wait a second");
    }
    if (peer.principal &&
        std::find(roles.begin(), roles.end(), peer.principal->role) == roles.end()) {
      return Error(StatusCode::kPermissionDenied, kiln::Describe(*peer.principal),
                   " may not call ", method, ": that takes a certificate with the role ",
                   AnyOf(roles));
    }
    return peer;
  }

  Status Recheck(const Peer& peer) override {
    return book_ ? book_->Identify(peer.certificate).status() : absl::OkStatus();
  }

  std::uint64_t generation() override { return book_ ? book_->generation() : 0; }

 private:
  // A Unix socket of a server that speaks TLS does not come here: it has no book.
  Status Identify(const grpc::ServerContextBase& context, Peer& peer) {
    const auto auth = context.auth_context();
    const auto found = auth ? auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME)
                            : std::vector<grpc::string_ref>();
    if (found.empty()) {
      return Error(StatusCode::kUnauthenticated, "the caller has shown no certificate");
    }
    peer.certificate.assign(found.front().data(), found.front().size());
    ASSIGN_OR_RETURN(peer.principal, book_->Identify(peer.certificate));
    return absl::OkStatus();
  }

  const std::unique_ptr<PeerBook> book_;
  const Clock& clock_;
  CallMeter meter_;
};

}  // namespace

std::string Peer::party() const {
  if (!principal) return "@" + PeerHost(connection);
  return std::string(Name(principal->role)) + "/" + principal->name;
}

std::string Peer::Describe() const {
  return principal ? kiln::Describe(*principal) + " at " + connection : connection;
}

StatusOr<std::unique_ptr<PeerCheck>> NewPeerCheck(const TlsFiles& tls, const Clock& clock,
                                                  const CallRate& rate) {
  std::unique_ptr<PeerBook> book;
  if (tls.enabled()) {
    ASSIGN_OR_RETURN(book, OpenPeerBook(tls, clock, [](const std::string& trouble) {
                       spdlog::warn("credentials: {}", trouble);
                     }));
  }
  return std::make_unique<BookPeerCheck>(std::move(book), clock, rate);
}

}  // namespace kiln
