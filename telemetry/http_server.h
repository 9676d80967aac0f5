#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/reactor.h"
#include "base/status.h"

namespace kiln {

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // of the target: "/metrics", as it came, with its percent signs
  std::string query;   // what follows the "?"
  // By name in small letters: "if-none-match", "authorization", "host". What came several times is
  // joined by ", ".
  std::map<std::string, std::string, std::less<>> headers;
  std::string body;

  // Empty: it did not come.
  const std::string& Header(std::string_view name) const;
  // What a form with method GET has put into the query, decoded; of a name that comes again the first.
  std::map<std::string, std::string, std::less<>> Fields() const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  // Further ones: {"ETag", "\"7\""}. Length, date and connection are the server's affair.
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// Answers a request. May be called on any thread, at any time, also when the client or the server
// has gone; the first call counts. If all copies go without one, the answer is a 500.
using HttpRespond = std::function<void(HttpResponse)>;

// Is called on the reactor's thread, which it must not block: what takes longer than a moment goes to
// a thread of its own, with `respond`. A HEAD is answered like a GET: the server leaves the body out.
using HttpHandler = std::function<void(const HttpRequest& request, HttpRespond respond)>;

// One page: a method, "GET" standing for HEAD as well, and a path. One that ends in "/*" is all
// paths below.
struct HttpRoute {
  std::string method;
  std::string path;
  HttpHandler handler;
};

// Goes by the first route that fits. 404 if none has the path, 405 if none of those has the method.
HttpHandler RouteHttp(std::vector<HttpRoute> routes);

struct HttpOptions {
  // HOST:PORT, the host a number or "localhost"; port 0: the system picks.
  std::string address = "127.0.0.1:0";
  bool allow_remote = false;  // to listen where others than this machine's programs can connect
  std::size_t header_bytes = 8 << 10;  // of a request's first line and headers, at most
  std::size_t body_bytes = 64 << 10;
  std::size_t connections = 64;              // at a time; further ones wait
  std::chrono::milliseconds idle{60'000};    // a connection between two requests
  std::chrono::milliseconds read{10'000};    // a request from its first byte to its last
  std::chrono::milliseconds answer{30'000};  // the handler; then the answer is a 503
  std::chrono::milliseconds write{30'000};   // an answer, until it has left
};

// This is an HTTP/1.1 server on the program's reactor, for pages that are read now and then: it has
// no thread of its own, and no TLS. Whatever clients send or leave out costs them their connection and
// others nothing: sizes, times and the number of connections are bounded.
//
// On a loopback address it answers only those who ask for it by a name of this machine (localhost,
// the address itself, with its port): a page of another site that had its name resolve to 127.0.0.1
// could otherwise read everything.
class HttpServer {
 public:
  // Closes all connections; the handler is not called any more.
  virtual ~HttpServer() = default;
  virtual const std::string& address() const = 0;  // with the real port
};

// The reactor must outlive the server. The destructor may run on any thread.
//   kInvalidArgument     not such an address
//   kPermissionDenied    not a loopback address, and no `allow_remote`
//   kUnavailable         what the system says: in use, not of this machine, ...
StatusOr<std::unique_ptr<HttpServer>> StartHttpServer(Reactor& reactor, const HttpOptions& options,
                                                      HttpHandler handler);

}  // namespace kiln
