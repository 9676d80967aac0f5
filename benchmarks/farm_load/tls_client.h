#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

struct ssl_ctx_st;
struct ssl_st;

namespace kiln::load {

// PEM texts; without `ca` plaintext.
struct Credential {
  std::string ca, cert, key;
};

// These are OpenSSL's contexts, one for each credential: thousands of connections may share one.
class TlsContexts {
 public:
  // kInvalidArgument: the texts cannot be used.
  StatusOr<std::shared_ptr<ssl_ctx_st>> Get(const Credential& credential);

 private:
  std::map<std::string, std::shared_ptr<ssl_ctx_st>> contexts_;  // by digest of the texts
};

// This is the client's end of one TLS connection, between bytes in memory: whoever has the socket hands
// in what has come and sends what is to go.
class TlsSession {
 public:
  // The server's certificate must be of the context's authority and for `host`, a name or an address.
  TlsSession(ssl_ctx_st& context, const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Takes from `in`, appends what is to be sent to `out`, also on failure. True: it is done.
  StatusOr<bool> Handshake(std::string_view& in, std::string& out);
  // Puts up to `size` bytes from `in` in plaintext into `buffer`. 0: there is nothing left, or the server
  // has said that nothing more comes.
  StatusOr<std::size_t> Read(std::string_view& in, char* buffer, std::size_t size,
                             std::string& out);
  Status Write(std::string_view plaintext, std::string& out);
  void Shutdown(std::string& out);

  // The two ends that OpenSSL reads from and writes to.
  struct Ends {
    std::string_view* in = nullptr;
    std::string* out = nullptr;
  };

 private:
  Status Failure(int result) const;

  Ends ends_;
  ssl_st* const ssl_;
};

}  // namespace kiln::load
