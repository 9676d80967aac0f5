// gRPC keeps to itself why a channel does not become ready: what was wrong with a certificate, or that
// the other side does not speak TLS at all, ends in "failed to connect to all addresses". So the
// connection is made once more, by hand.
//
// The handshake runs over two buffers in memory, so that the peer's first bytes can be looked at before
// OpenSSL sees them: a record of TLS begins with its type, 20 to 23, and the version 3.x; a gRPC server in
// plaintext begins with a SETTINGS frame of HTTP/2 (RFC 9113, 3.4). The peer's certificate is verified after the
// handshake, by us, so that all of it can be named. In TLS 1.3 the client's side of a handshake is over before
// the server has seen the client's certificate: whether that is refused shows when something is read.

#include "proto/tls_probe.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "proto/certificates.h"
#include "proto/openssl_handle.h"
#include "proto/transport.h"

namespace kiln {
namespace {

using Deadline = SteadyTime;
using std::chrono::milliseconds;

constexpr std::string_view kUnix = "unix:";
// The client's first bytes in HTTP/2: its preface, and an empty SETTINGS frame.
constexpr std::string_view kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 24 + 9);

using ContextPtr = OpenSslHandle<SSL_CTX, SSL_CTX_free>;
using SslPtr = OpenSslHandle<SSL, SSL_free>;
using X509Ptr = OpenSslHandle<X509, X509_free>;
using StoreContextPtr = OpenSslHandle<X509_STORE_CTX, X509_STORE_CTX_free>;
using BioPtr = OpenSslHandle<BIO, BIO_free>;

Deadline After(milliseconds timeout) { return std::chrono::steady_clock::now() + timeout; }

milliseconds Left(Deadline deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(left));
}

std::string Seconds(milliseconds time) {
  std::string text = std::to_string(time.count() / 1000.0);
  return text.substr(0, text.find('.') + 2) + " s";
}

// What came of waiting for bytes.
enum class Ended { kNot, kClosed, kTimeout };

// This is a connection that does not block; closes it.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

  bool Wait(short events, Deadline deadline) const {
    pollfd one{fd_, events, 0};
    int ready = -1;
    do {
      ready = poll(&one, 1, static_cast<int>(Left(deadline).count()));
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
  }

  Ended Send(std::string_view bytes, Deadline deadline) const {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        if (!Wait(POLLOUT, deadline)) return Ended::kTimeout;
      } else if (errno != EINTR) {
        return Ended::kClosed;
      }
    }
    return Ended::kNot;
  }

  // Appends what comes next.
  Ended Receive(std::string& bytes, Deadline deadline) const {
    std::array<char, 4096> part;
    while (Wait(POLLIN, deadline)) {
      const ssize_t count = recv(fd_, part.data(), part.size(), 0);
      if (count > 0) {
        bytes.append(part.data(), static_cast<std::size_t>(count));
        return Ended::kNot;
      }
      if (count == 0 || (errno != EAGAIN && errno != EINTR)) return Ended::kClosed;
    }
    return Ended::kTimeout;
  }

 private:
  int fd_;
};

struct Where {
  sockaddr_storage name{};
  socklen_t size = 0;
  int family() const { return name.ss_family; }
};

std::string HostOf(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return host;
}

struct Resolved {
  int error = 0;
  std::vector<Where> places;
};

Resolved Resolve(const std::string& host, const std::string& port, int flags) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  Resolved resolved;
  resolved.error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (resolved.error != 0) return resolved;
  for (const addrinfo* one = found; one; one = one->ai_next) {
    Where where;
    std::memcpy(&where.name, one->ai_addr, one->ai_addrlen);
    where.size = one->ai_addrlen;
    resolved.places.push_back(where);
  }
  freeaddrinfo(found);
  return resolved;
}

StatusOr<std::vector<Where>> Find(const std::string& address, Deadline deadline) {
  if (address.starts_with(kUnix)) {
    Where where;
    auto& name = reinterpret_cast<sockaddr_un&>(where.name);
    name.sun_family = AF_UNIX;
    address.copy(name.sun_path, sizeof name.sun_path - 1, kUnix.size());
    where.size = sizeof name;
    return std::vector<Where>{where};
  }
  const std::string host = HostOf(address), port = address.substr(address.rfind(':') + 1);
  Resolved numeric = Resolve(host, port, AI_NUMERICHOST);
  if (numeric.error == 0) return std::move(numeric.places);
  // A resolver takes as long as it likes; it is left behind then.
  std::promise<Resolved> promise;
  std::future<Resolved> answer = promise.get_future();
  std::thread([promise = std::move(promise), host, port]() mutable {
    promise.set_value(Resolve(host, port, 0));
  }).detach();
  if (answer.wait_until(deadline) != std::future_status::ready) {
    return Error(StatusCode::kUnavailable, "no answer to who ", host,
                 " is: does name resolution work here?");
  }
  Resolved resolved = answer.get();
  if (resolved.error == 0) return std::move(resolved.places);
  return Error(StatusCode::kUnavailable, "there is no host ", host, " (",
               gai_strerror(resolved.error), ")");
}

// An error number: 0 when connected.
int Connect(const Socket& socket, const Where& where, Deadline deadline) {
  if (socket.fd() < 0) return errno;
  if (connect(socket.fd(), reinterpret_cast<const sockaddr*>(&where.name), where.size) == 0)
    return 0;
  if (errno != EINPROGRESS && errno != EINTR) return errno;
  if (!socket.Wait(POLLOUT, deadline)) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

// This is one question to one address, with what all parts of it need.
class Probe {
 public:
  Probe(const std::string& address, const TlsFiles& files, std::string host, milliseconds timeout)
      : address_(address),
        files_(files),
        host_(std::move(host)),
        timeout_(timeout),
        deadline_(After(timeout)) {}

  Status Run() {
    ASSIGN_OR_RETURN(places_, Find(address_, deadline_));
    return files_.enabled() ? WithTls() : InPlaintext();
  }

 private:
  // -- connecting

  StatusOr<Socket> Open() const {
    int error = EADDRNOTAVAIL;
    for (const Where& where : places_) {
      Socket socket(::socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      error = Connect(socket, where, deadline_);
      if (error == 0) return socket;
    }
    if (error == ETIMEDOUT || error == EAGAIN) {
      return Error(StatusCode::kUnavailable, address_, " does not answer (no connection within ",
                   Seconds(timeout_), "): is the machine up, and no firewall between?");
    }
    if (error == ECONNREFUSED || error == ENOENT) {
      return Error(StatusCode::kUnavailable, "nothing listens on ", address_, " (",
                   std::strerror(error), ")");
    }
    return Error(StatusCode::kUnavailable, "no way to ", address_, " (", std::strerror(error), ")");
  }

  // -- plaintext

  static bool IsTls(std::string_view reply) {
    return reply.size() >= 2 && reply[0] >= 20 && reply[0] <= 23 && reply[1] == 3;
  }
  // A frame's head: three bytes of length, a type, flags, four bytes of stream.
  static bool IsHttp2(std::string_view reply) {
    return reply.size() >= 9 && reply[0] == 0 && reply[3] == 4 &&
           reply.substr(5, 4) == std::string_view("\0\0\0\0", 4);
  }

  Status Hangs() const {
    return Error(StatusCode::kUnavailable, address_,
                 " accepts connections, but says nothing within ", Seconds(timeout_),
                 ": does that program hang, or is it another one than Kiln's?");
  }
  Status SpeaksTls() const {
    return Error(StatusCode::kFailedPrecondition, address_,
                 " speaks TLS: give --ca, --cert and --key");
  }
  Status IsAnotherProgram(std::string_view reply) const {
    std::string text(reply.substr(0, 24));
    text = text.substr(0, text.find_first_of("\r\n"));
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return Error(StatusCode::kFailedPrecondition, address_, " is no server of Kiln (it says `",
                 text, "`): is the port right?");
  }

  // Sends the bytes and takes what comes, up to a whole head of a frame.
  StatusOr<Ended> Ask(std::string_view bytes, std::string& reply, Deadline deadline) const {
    ASSIGN_OR_RETURN(const Socket socket, Open());
    Ended ended = socket.Send(bytes, deadline);
    while (ended != Ended::kTimeout &&
           reply.size() < 9) {  // one that closes may have said something before
      ended = socket.Receive(reply, deadline);
      if (ended != Ended::kNot) break;
    }
    return ended;
  }

  Status InPlaintext() const {
    std::string reply;
    // Half of the time, so that there is some for a second try.
    ASSIGN_OR_RETURN(const Ended ended,
                     Ask(kPreface, reply, std::min(deadline_, After(timeout_ / 2))));
    if (IsHttp2(reply)) return absl::OkStatus();
    if (IsTls(reply)) return SpeaksTls();
    if (!reply.empty()) return IsAnotherProgram(reply);
    // A server with TLS hangs up on what is none, or waits for more.
    std::string second;
    if (const StatusOr<std::string> hello = ClientHello(); hello.ok()) {
      if (const auto asked = Ask(*hello, second, deadline_); asked.ok() && IsTls(second))
        return SpeaksTls();
    }
    if (ended == Ended::kTimeout) return Hangs();
    return Error(
        StatusCode::kUnavailable, address_,
        " closes the connection without a word: is it a server of Kiln, and not too busy?");
  }

  // -- TLS

  static ContextPtr NewContext() {
    ContextPtr context(SSL_CTX_new(TLS_client_method()));
    if (!context) return context;
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // by ourselves, afterwards
    SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return -1; });
    constexpr std::array<unsigned char, 3> kAlpn = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context.get(), kAlpn.data(), kAlpn.size());
    return context;
  }

  // A handshake's two ends in memory.
  struct Session {
    SslPtr ssl;
    BIO *in = nullptr, *out = nullptr;  // of ssl

    std::string Outgoing() const {
      char* data = nullptr;
      const long size = BIO_get_mem_data(out, &data);
      std::string bytes(data, static_cast<std::size_t>(size));
      BIO_reset(out);
      return bytes;
    }
  };

  StatusOr<Session> NewSession(SSL_CTX* context) const {
    Session session{SslPtr(context ? SSL_new(context) : nullptr), BIO_new(BIO_s_mem()),
                    BIO_new(BIO_s_mem())};
    if (!session.ssl) return Error(StatusCode::kInternal, "OpenSSL does not work here");
    BIO_set_mem_eof_return(session.in, -1);
    SSL_set_bio(session.ssl.get(), session.in, session.out);
    SSL_set_connect_state(session.ssl.get());
    if (!host_.empty() && !IsNumeric(host_))
      SSL_set_tlsext_host_name(session.ssl.get(), host_.c_str());
    return session;
  }
  static bool IsNumeric(const std::string& host) {
    std::array<unsigned char, 16> ignored;
    return inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
           inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
  }

  StatusOr<std::string> ClientHello() const {
    const ContextPtr context = NewContext();
    ASSIGN_OR_RETURN(const Session session, NewSession(context.get()));
    SSL_do_handshake(session.ssl.get());
    ERR_clear_error();
    return session.Outgoing();
  }

  // How an operation of TLS ended.
  enum class Outcome { kDone, kClosed, kTimeout, kAlert, kFailed, kNotTls };
  struct Pumped {
    Outcome outcome;
    int alert = 0;       // of the peer
    std::string reason;  // OpenSSL's word
  };

  static Pumped Failure() {
    const unsigned long error = ERR_peek_error();
    const char* words = ERR_reason_error_string(error);
    const int reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
        reason <= SSL_AD_REASON_OFFSET + 255) {
      return {Outcome::kAlert, reason - SSL_AD_REASON_OFFSET, words ? words : ""};
    }
    return {Outcome::kFailed, 0, words ? words : "unknown error"};
  }

  // Runs `step` until it is done, carrying bytes both ways. `reply` keeps the peer's first ones.
  template <typename Step>
  Pumped Pump(const Session& session, const Socket& socket, std::string& reply, Step step) const {
    while (true) {
      ERR_clear_error();
      const int result = step(session.ssl.get());
      const int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(session.ssl.get(), result);
      Pumped failure = error == SSL_ERROR_SSL ? Failure() : Pumped{Outcome::kClosed};
      // Also what tells the peer that it has failed.
      const Ended sent = socket.Send(session.Outgoing(), deadline_);
      if (result > 0) return {Outcome::kDone};
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return failure;
      if (sent == Ended::kTimeout) return {Outcome::kTimeout};
      std::string bytes;
      const Ended ended = socket.Receive(bytes, deadline_);
      if (ended != Ended::kNot) {
        return {ended == Ended::kClosed ? Outcome::kClosed : Outcome::kTimeout};
      }
      if (reply.size() < 64) reply += bytes;
      if (reply.size() >= 2 && !IsTls(reply)) {
        if (reply.size() < 9) socket.Receive(reply, std::min(deadline_, After(milliseconds(100))));
        return {Outcome::kNotTls};
      }
      BIO_write(session.in, bytes.data(), static_cast<int>(bytes.size()));
    }
  }

  // The files have been looked at: errors here are rare.
  Status TakeFiles(SSL_CTX* context) const {
    if (!context || SSL_CTX_load_verify_locations(context, files_.ca.c_str(), nullptr) != 1) {
      return Error(StatusCode::kInvalidArgument, files_.ca, " cannot be used");
    }
    if (files_.cert.empty()) return absl::OkStatus();
    if (SSL_CTX_use_certificate_chain_file(context, files_.cert.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, files_.key.c_str(), SSL_FILETYPE_PEM) != 1) {
      return Error(StatusCode::kInvalidArgument, files_.cert, " and ", files_.key,
                   " cannot be used");
    }
    return absl::OkStatus();
  }

  Status WithTls() const {
    const bool anonymous = files_.cert.empty() && files_.key.empty();
    // Without a certificate it is the peer who says whether it wants one.
    Status own = anonymous ? absl::OkStatus() : CheckTlsFiles(files_, std::nullopt, Now());
    if (!own.ok() && own.code() != StatusCode::kFailedPrecondition) return own;

    const ContextPtr context = NewContext();
    const Status taken = TakeFiles(context.get());
    ERR_clear_error();
    RETURN_IF_ERROR(taken);
    ASSIGN_OR_RETURN(const Socket socket, Open());
    ASSIGN_OR_RETURN(const Session session, NewSession(context.get()));
    std::string reply;
    const Pumped greeted =
        Pump(session, socket, reply, [](SSL* ssl) { return SSL_do_handshake(ssl); });
    ERR_clear_error();
    const X509Ptr peer(SSL_get1_peer_certificate(session.ssl.get()));
    if (peer) {  // even of a handshake that failed later
      const Status verified = Verify(context.get(), session.ssl.get(), peer.get());
      ERR_clear_error();
      RETURN_IF_ERROR(verified);
    }
    if (greeted.outcome != Outcome::kDone) return NoHandshake(greeted, own, reply, peer != nullptr);

    std::array<char, 64> bytes;
    const Pumped read = Pump(session, socket, reply, [&](SSL* ssl) {
      return SSL_read(ssl, bytes.data(), static_cast<int>(bytes.size()));
    });
    ERR_clear_error();
    switch (read.outcome) {
      case Outcome::kAlert:
        return Refused(read.alert, read.reason, own);
      case Outcome::kClosed:
        return Refused(0, "", own);
      default:
        return own;  // it works, whatever may be said of our own files
    }
  }

  static WallTime Now() { return SystemClock().Today(); }

  Status NoHandshake(const Pumped& how, const Status& own, std::string_view reply,
                     bool know_peer) const {
    switch (how.outcome) {
      case Outcome::kNotTls:
        if (!IsHttp2(reply)) return IsAnotherProgram(reply);
        return Error(
            StatusCode::kFailedPrecondition, address_,
            " does not speak TLS: start it with --cert, --key and --ca, or leave out --ca here");
      case Outcome::kTimeout:
        return Hangs();
      case Outcome::kAlert:
        return Refused(how.alert, how.reason, own);
      case Outcome::kClosed:
        if (know_peer) return Refused(0, "", own);
        return Error(
            StatusCode::kFailedPrecondition, address_,
            " closes the connection during the handshake: does it speak TLS? It is started with "
            "--cert, --key and --ca then");
      default:
        return Error(StatusCode::kFailedPrecondition, "no TLS with ", address_, ": ", how.reason);
    }
  }

  // The peer does not want our certificate; 0: it has hung up, and it is for us to say why.
  Status Refused(int alert, const std::string& words, const Status& own) const {
    if (files_.cert.empty()) {
      return Error(StatusCode::kUnauthenticated, address_,
                   " wants a certificate: give --cert and --key");
    }
    if (alert == SSL_AD_NO_APPLICATION_PROTOCOL) {
      return Error(StatusCode::kFailedPrecondition, address_,
                   " speaks TLS, but is no server of Kiln: is the port right?");
    }
    if (alert == SSL_AD_PROTOCOL_VERSION || alert == SSL_AD_INSUFFICIENT_SECURITY) {
      return Error(StatusCode::kFailedPrecondition, address_, " speaks another version of TLS (",
                   words, ")");
    }
    const std::string refuses = address_ + " refuses our certificate: ";
    if (!own.ok()) return Error(StatusCode::kUnauthenticated, refuses, Message(own));
    const StatusOr<Certificate> certificate = ReadCertificateFile(files_.cert);
    std::string what = files_.cert;
    if (certificate.ok() && certificate->principal)
      what += " (" + Describe(*certificate->principal) + ")";
    switch (alert) {
      case SSL_AD_CERTIFICATE_EXPIRED:
        return Error(StatusCode::kUnauthenticated, refuses, what,
                     " has expired there, and has not here: are both clocks right?");
      case SSL_AD_CERTIFICATE_REVOKED:
        return Error(StatusCode::kUnauthenticated, refuses, what, " has been revoked");
      case SSL_AD_UNKNOWN_CA:
      case SSL_AD_DECRYPT_ERROR:
        return Error(StatusCode::kUnauthenticated, refuses, what, " is of the authority `",
                     certificate.ok() ? certificate->authority : "",
                     "`, and its --ca is another one");
      case SSL_AD_UNSUPPORTED_CERTIFICATE:
        return Error(StatusCode::kUnauthenticated, refuses, what,
                     " is none for a client (a tracker's is only for the tracker)");
      case 0:
        return Error(StatusCode::kUnauthenticated, refuses,
                     "it closes the connection when it has seen ", what,
                     "; is that of the authority it knows, and are both clocks right?");
      default:
        return Error(StatusCode::kUnauthenticated, refuses, what, " (", words,
                     "); are both clocks right, and the authority the same?");
    }
  }

  static std::string Pem(X509* x509) {
    const BioPtr text(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(text.get(), x509);
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  }

  // The peer's certificate.
  Status Verify(SSL_CTX* context, SSL* ssl, X509* peer) const {
    ASSIGN_OR_RETURN(const Certificate certificate, ReadCertificate(Pem(peer)));
    std::string what = "the certificate of " + address_;
    if (certificate.principal) what += " (" + Describe(*certificate.principal) + ")";
    const StoreContextPtr chain(X509_STORE_CTX_new());
    X509_STORE_CTX_init(chain.get(), SSL_CTX_get_cert_store(context), peer,
                        SSL_get_peer_cert_chain(ssl));
    X509_STORE_CTX_set_flags(chain.get(), X509_V_FLAG_NO_CHECK_TIME);
    X509_STORE_CTX_set_purpose(chain.get(), X509_PURPOSE_SSL_SERVER);
    if (X509_verify_cert(chain.get()) != 1) {
      const int error = X509_STORE_CTX_get_error(chain.get());
      if (error == X509_V_ERR_INVALID_PURPOSE) {
        return Error(StatusCode::kUnauthenticated, what,
                     " is none for a server: make one with scripts/make-certs tracker or device");
      }
      const StatusOr<Certificate> ours = ReadCertificateFile(files_.ca);
      return Error(StatusCode::kUnauthenticated, what, " is of another authority, `",
                   certificate.authority, "`, than ", files_.ca,
                   ours.ok() ? ", `" + ours->authority + "`" : "", " (",
                   X509_verify_cert_error_string(error), ")");
    }
    RETURN_IF_ERROR(CheckPeerTime(what, certificate));
    return CheckHost(what, certificate, peer);
  }

  Status CheckPeerTime(const std::string& what, const Certificate& certificate) const {
    const WallTime now = Now();
    if (now > certificate.not_after) {
      return Error(StatusCode::kUnauthenticated, what, " expired on ", Day(certificate.not_after),
                   " (the clock here says ", Day(now),
                   "): renew it with scripts/make-certs and bring it there");
    }
    if (now < certificate.not_before) {
      return Error(StatusCode::kUnauthenticated, what, " is not valid before ",
                   Day(certificate.not_before), ", and the clock here says ", Day(now),
                   ": is it right?");
    }
    return absl::OkStatus();
  }

  Status CheckHost(const std::string& what, const Certificate& certificate, X509* peer) const {
    if (host_.empty() || X509_check_host(peer, host_.c_str(), 0, 0, nullptr) == 1 ||
        X509_check_ip_asc(peer, host_.c_str(), 0) == 1) {
      return absl::OkStatus();
    }
    std::string hosts;
    for (const std::string& host : certificate.hosts) hosts += (hosts.empty() ? "" : ", ") + host;
    return Error(StatusCode::kUnauthenticated, what, " is for ", hosts.empty() ? "no host" : hosts,
                 ", not for ", host_,
                 ": dial it by a name that it is for, or make it for this one too");
  }

  const std::string& address_;
  const TlsFiles& files_;
  const std::string host_;
  const milliseconds timeout_;
  const Deadline deadline_;
  std::vector<Where> places_;
};

}  // namespace

Status WhyNoConnection(const std::string& address, const TlsFiles& files,
                       const std::string& expected_host, milliseconds timeout) {
  RETURN_IF_ERROR(CheckAddress(address));
  std::string host = expected_host;
  if (host.empty() && !address.starts_with(kUnix)) host = HostOf(address);
  return Probe(address, files, std::move(host), timeout).Run();
}

}  // namespace kiln
