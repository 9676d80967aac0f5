#include "benchmarks/farm_load/tls_client.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "proto/openssl_handle.h"

namespace kiln::load {
namespace {

constexpr std::array<unsigned char, 3> kAlpn = {2, 'h', '2'};

using BioPtr = OpenSslHandle<BIO, BIO_free>;
using X509Ptr = OpenSslHandle<X509, X509_free>;
using KeyPtr = OpenSslHandle<EVP_PKEY, EVP_PKEY_free>;
using MethodPtr = OpenSslHandle<BIO_METHOD, BIO_meth_free>;

BioPtr Reader(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Nobody is there to be asked.
int NoPassword(char*, int, int, void*) { return -1; }

X509Ptr NextCertificate(BIO* bio) {
  return X509Ptr(PEM_read_bio_X509(bio, nullptr, NoPassword, nullptr));
}

bool TakeAuthority(SSL_CTX* context, const std::string& text) {
  const BioPtr bio = Reader(text);
  int count = 0;
  while (const X509Ptr certificate = NextCertificate(bio.get())) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) != 1) return false;
    ++count;
  }
  return count > 0;
}

bool TakeCertificate(SSL_CTX* context, const std::string& text) {
  const BioPtr bio = Reader(text);
  const X509Ptr own = NextCertificate(bio.get());
  if (!own || SSL_CTX_use_certificate(context, own.get()) != 1) return false;
  while (const X509Ptr above = NextCertificate(bio.get())) {
    if (SSL_CTX_add1_chain_cert(context, above.get()) != 1) return false;
  }
  return true;
}

bool TakeKey(SSL_CTX* context, const std::string& text) {
  const BioPtr bio = Reader(text);
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  return key && SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

std::string Digest(const Credential& credential) {
  const std::string text = credential.ca + '\0' + credential.cert + '\0' + credential.key;
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

int ReadFromEnds(BIO* bio, char* buffer, int size) {
  BIO_clear_retry_flags(bio);
  const auto& ends = *static_cast<TlsSession::Ends*>(BIO_get_data(bio));
  if (!ends.in || ends.in->empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t count = ends.in->copy(buffer, static_cast<std::size_t>(size));
  ends.in->remove_prefix(count);
  return static_cast<int>(count);
}

int WriteToEnds(BIO* bio, const char* bytes, int size) {
  const auto& ends = *static_cast<TlsSession::Ends*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (!ends.out) return -1;
  ends.out->append(bytes, static_cast<std::size_t>(size));
  return size;
}

BIO* NewBio(TlsSession::Ends* ends) {
  // Neither OpenSSL's pairs of BIOs nor those in memory give back what they once have needed.
  static const MethodPtr method = [] {
    MethodPtr made(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "bytes in memory"));
    BIO_meth_set_read(made.get(), ReadFromEnds);
    BIO_meth_set_write(made.get(), WriteToEnds);
    BIO_meth_set_ctrl(made.get(), [](BIO*, int command, long, void*) -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;
    });
    return made;
  }();
  BIO* const bio = BIO_new(method.get());
  BIO_set_data(bio, ends);
  BIO_set_init(bio, 1);
  return bio;
}

bool IsNumeric(const std::string& host) {
  std::array<unsigned char, 16> ignored;
  return inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

}  // namespace

StatusOr<std::shared_ptr<ssl_ctx_st>> TlsContexts::Get(const Credential& credential) {
  std::shared_ptr<ssl_ctx_st>& known = contexts_[Digest(credential)];
  if (known) return known;
  const std::shared_ptr<ssl_ctx_st> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context) return Error(StatusCode::kInternal, "OpenSSL does not work here");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), kAlpn.data(), kAlpn.size());
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  // No session is ever taken up again.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  const char* unusable = nullptr;
  if (!TakeAuthority(context.get(), credential.ca)) unusable = "the authority's certificate";
  if (!TakeCertificate(context.get(), credential.cert)) unusable = "the certificate";
  if (!TakeKey(context.get(), credential.key)) unusable = "the certificate's key";
  ERR_clear_error();
  if (unusable) return Error(StatusCode::kInvalidArgument, unusable, " cannot be used");
  return known = context;
}

TlsSession::TlsSession(ssl_ctx_st& context, const std::string& host) : ssl_(SSL_new(&context)) {
  BIO* const bio = NewBio(&ends_);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_connect_state(ssl_);
  SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (IsNumeric(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str());
  } else {
    SSL_set1_host(ssl_, host.c_str());
    SSL_set_tlsext_host_name(ssl_, host.c_str());
  }
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

// Of what gave `result`; ok: there is nothing to read.
Status TlsSession::Failure(int result) const {
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN) return absl::OkStatus();
  const char* const words = ERR_reason_error_string(ERR_peek_error());
  std::string reason = words ? words : "unknown error";
  if (const long verified = SSL_get_verify_result(ssl_); verified != X509_V_OK) {
    reason += std::string(", ") + X509_verify_cert_error_string(verified);
  }
  ERR_clear_error();
  return Error(StatusCode::kUnavailable, "TLS failed: ", reason);
}

StatusOr<bool> TlsSession::Handshake(std::string_view& in, std::string& out) {
  ends_ = {&in, &out};
  const int result = SSL_do_handshake(ssl_);
  ends_ = {};
  if (result != 1) {
    RETURN_IF_ERROR(Failure(result));
    return false;
  }
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &chosen, &size);
  if (std::string_view(reinterpret_cast<const char*>(chosen), size) != "h2") {
    return Error(StatusCode::kUnavailable, "TLS failed: it does not speak HTTP/2");
  }
  return true;
}

StatusOr<std::size_t> TlsSession::Read(std::string_view& in, char* buffer, std::size_t size,
                                       std::string& out) {
  ends_ = {&in, &out};
  const int result = SSL_read(ssl_, buffer, static_cast<int>(size));
  ends_ = {};
  if (result > 0) return static_cast<std::size_t>(result);
  RETURN_IF_ERROR(Failure(result));
  return std::size_t{0};
}

Status TlsSession::Write(std::string_view plaintext, std::string& out) {
  if (plaintext.empty()) return absl::OkStatus();
  ends_ = {nullptr, &out};
  const int result = SSL_write(ssl_, plaintext.data(), static_cast<int>(plaintext.size()));
  ends_ = {};
  if (result == static_cast<int>(plaintext.size())) return absl::OkStatus();
  RETURN_IF_ERROR(Failure(result));
  return Error(StatusCode::kUnavailable, "TLS failed: it does not take what is to be sent");
}

void TlsSession::Shutdown(std::string& out) {
  ends_ = {nullptr, &out};
  if (SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
  ends_ = {};
  ERR_clear_error();
}

}  // namespace kiln::load
