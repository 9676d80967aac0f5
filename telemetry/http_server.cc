// The server is a listener and its connections, all on the reactor's thread. A connection is in one
// phase at a time (Phase below), each with a deadline: that is all that bounds what a client can do,
// beside the limits of the parser. Answers of other threads come by a gate (http_answer.h).

#include "telemetry/http_server.h"

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <future>
#include <optional>
#include <set>

#include "base/reactor_asio.h"
#include "telemetry/http_answer.h"
#include "telemetry/http_host.h"

namespace kiln {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

// A connection that is to end is read on for so long and so much: unread bytes would make the system
// reset it, and the client lose the answer.
constexpr std::chrono::seconds kLinger{2};
constexpr std::size_t kLingerBytes = 1 << 20;
// After the system refused a connection: no more descriptors, most likely.
constexpr std::chrono::milliseconds kAcceptAgain{200};

class Connection;

// Accepts connections, and keeps them.
class Listener final : public std::enable_shared_from_this<Listener> {
 public:
  Listener(Reactor& reactor, HttpOptions options, HttpHandler handler)
      : io_(IoContext(reactor)),
        options_(std::move(options)),
        handler_(std::move(handler)),
        gate_(std::make_shared<ReactorGate>(reactor)) {}

  Status Listen();
  void Begin() { Accept(); }
  // Nothing is called any more once the work is done that is now in the loop.
  void Close();

  const HttpOptions& options() const { return options_; }
  const std::string& address() const { return address_; }
  bool loopback() const { return loopback_; }
  const std::shared_ptr<ReactorGate>& gate() const { return gate_; }
  void Handle(const HttpRequest& request, HttpRespond respond) {
    handler_(request, std::move(respond));
  }
  void Forget(const std::shared_ptr<Connection>& connection);
  void MakeRoom();  // if somebody waits for it, and a connection is idle

 private:
  void Accept();
  void Admit(tcp::socket socket);
  std::shared_ptr<Connection> LongestIdle() const;

  asio::io_context& io_;
  const HttpOptions options_;
  const HttpHandler handler_;
  const std::shared_ptr<ReactorGate> gate_;
  std::string address_;
  bool loopback_ = true;
  tcp::acceptor acceptor_{io_};
  asio::steady_timer again_{io_};
  std::optional<tcp::socket> waiting_;  // until there is room
  std::set<std::shared_ptr<Connection>> connections_;
};

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Listener> listener, asio::io_context& io, tcp::socket socket)
      : listener_(std::move(listener)),
        socket_(std::move(socket)),
        deadline_(io),
        buffer_(2 * listener_->options().header_bytes) {}

  void AwaitRequest() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(listener_->options().header_bytes));
    parser_->body_limit(listener_->options().body_bytes);
    if (buffer_.size() > 0) return ReadHeader();  // of a request sent ahead
    Enter(Phase::kIdle, listener_->options().idle);
    listener_->MakeRoom();
    if (phase_ != Phase::kIdle) return;
    socket_.async_read_some(buffer_.prepare(1024),
                            [self = shared_from_this()](const ErrorCode& error, std::size_t bytes) {
                              if (error || self->phase_ != Phase::kIdle) return self->Close();
                              self->buffer_.commit(bytes);
                              self->ReadHeader();
                            });
  }

  void Close() {
    if (phase_ == Phase::kClosed) return;
    phase_ = Phase::kClosed;
    deadline_.cancel();
    ErrorCode ignored;
    socket_.close(ignored);
    listener_->Forget(shared_from_this());
  }

  // Nobody is harmed if it is closed.
  bool idle() const { return phase_ == Phase::kIdle || phase_ == Phase::kLingering; }
  asio::steady_timer::time_point idle_until() const { return deadline_.expiry(); }

 private:
  enum class Phase { kIdle, kReading, kAnswering, kWriting, kLingering, kClosed };

  void Enter(Phase phase, std::chrono::milliseconds time) {
    phase_ = phase;
    deadline_.expires_after(time);
    deadline_.async_wait([self = shared_from_this(), step = ++steps_](const ErrorCode& error) {
      if (!error && step == self->steps_) self->OnDeadline();
    });
  }

  void OnDeadline() {
    switch (phase_) {
      case Phase::kReading:
        late_ = true;
        socket_.cancel();  // Refuse() follows
        return;
      case Phase::kAnswering:
        keep_ = false;
        return Write(HttpErrorPage(503, "the server takes too long: try again"));
      default:
        return Close();
    }
  }

  void ReadHeader() {
    Enter(Phase::kReading, listener_->options().read);
    http::async_read_header(socket_, buffer_, *parser_,
                            [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                              self->OnHeader(error);
                            });
  }

  void OnHeader(const ErrorCode& error) {
    if (phase_ != Phase::kReading) return;
    // Late, it may have come nevertheless; there is no deadline any more.
    if (error || late_) return Refuse(error);
    const auto& header = parser_->get();
    const auto hosts = header.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && header.version() == 11)) return Refuse(400, "want one Host");
    const auto host = header[http::field::host];
    if (hosts == 1 && listener_->loopback() &&
        !NamesThisMachine({host.data(), host.size()}, listener_->address())) {
      return Refuse(421, "this is " + listener_->address() + ", for programs of this machine only");
    }
    if (!header.target().starts_with('/')) return Refuse(400, "want a path that begins with /");
    if (boost::beast::iequals(header[http::field::expect], "100-continue")) return Encourage();
    ReadBody();
  }

  // The client waits for this before it sends the body.
  void Encourage() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(kContinue.data(), kContinue.size()),
                      [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                        if (self->phase_ != Phase::kReading) return;
                        if (error || self->late_) return self->Refuse(error);
                        self->ReadBody();
                      });
  }

  void ReadBody() {
    http::async_read(socket_, buffer_, *parser_,
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       if (self->phase_ != Phase::kReading) return;
                       if (error) return self->Refuse(error);
                       self->Handle();
                     });
  }

  void Handle() {
    const auto& message = parser_->get();
    keep_ = message.keep_alive();
    head_ = message.method() == http::verb::head;
    Enter(Phase::kAnswering, listener_->options().answer);
    const auto give = [weak = weak_from_this(), number = ++number_](const HttpResponse& response) {
      const auto known = weak.lock();
      if (known) known->GiveAnswer(number, response);
    };
    listener_->Handle(RequestOf(message), NewHttpRespond(listener_->gate(), give));
  }

  void GiveAnswer(std::uint64_t number, const HttpResponse& response) {
    if (phase_ == Phase::kAnswering && number == number_) Write(response);
  }

  static HttpRequest RequestOf(const http::request<http::string_body>& message) {
    HttpRequest request;
    request.method = std::string(message.method_string());
    const std::string target(message.target());
    const std::size_t mark = target.find('?');
    request.path = target.substr(0, mark);
    if (mark != std::string::npos) request.query = target.substr(mark + 1);
    for (const auto& field : message) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      const auto [entry, first] = request.headers.try_emplace(name, field.value());
      if (!first) entry->second += ", " + std::string(field.value());
    }
    request.body = message.body();
    return request;
  }

  // What came is no request, or not one for this server.
  void Refuse(const ErrorCode& error) {
    if (late_) return Refuse(408, "the request took too long");
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return Refuse(431, "the headers are too large");
    }
    if (error == http::error::body_limit) return Refuse(413, "the body is too large");
    if (error == http::error::bad_version) return Refuse(505, "want HTTP/1.1");
    // The other errors of a parser; those of the network leave nobody to answer.
    const bool malformed =
        error.category() == http::make_error_code(http::error::bad_method).category();
    if (!malformed || error == http::error::end_of_stream) return Close();
    Refuse(400, "this is no HTTP request: " + error.message());
  }
  void Refuse(int status, const std::string& text) {
    keep_ = false;
    head_ = parser_->is_header_done() && parser_->get().method() == http::verb::head;
    Write(HttpErrorPage(status, text));
  }

  void Write(const HttpResponse& response) {
    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(response.status));
    const bool empty = response.status == 204 || response.status == 304;
    if (!empty) response_.set(http::field::content_type, response.content_type);
    response_.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : response.headers) {
      // A line's end in one would begin another header.
      if (name.find_first_of("\r\n") + 1 == 0 && value.find_first_of("\r\n") + 1 == 0) {
        response_.insert(name, value);
      }
    }
    if (!empty) response_.content_length(response.body.size());
    if (!empty && !head_) response_.body() = response.body;
    response_.keep_alive(keep_);
    if (keep_ && parser_->get().version() == 10)
      response_.set(http::field::connection, "keep-alive");
    Enter(Phase::kWriting, listener_->options().write);
    http::async_write(socket_, response_,
                      [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                        if (error || self->phase_ != Phase::kWriting) return self->Close();
                        return self->keep_ ? self->AwaitRequest() : self->Linger();
                      });
  }

  void Linger() {
    ErrorCode error;
    socket_.shutdown(tcp::socket::shutdown_send, error);
    if (error) return Close();
    Enter(Phase::kLingering, kLinger);
    buffer_.consume(buffer_.size());
    listener_->MakeRoom();
    if (phase_ == Phase::kLingering) ReadOn(kLingerBytes);
  }
  void ReadOn(std::size_t left) {
    socket_.async_read_some(buffer_.prepare(4096), [self = shared_from_this(), left](
                                                       const ErrorCode& error, std::size_t bytes) {
      if (error || bytes >= left || self->phase_ != Phase::kLingering) return self->Close();
      self->ReadOn(left - bytes);
    });
  }

  const std::shared_ptr<Listener> listener_;
  tcp::socket socket_;
  asio::steady_timer deadline_;  // of the phase
  Phase phase_ = Phase::kIdle;
  std::uint64_t steps_ = 0;   // phases, so far
  std::uint64_t number_ = 0;  // requests, so far
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  bool late_ = false;
  bool keep_ = true;
  bool head_ = false;
};

Status Listener::Listen() {
  ASSIGN_OR_RETURN(HttpHost at, ParseHttpHost(options_.address));
  if (at.host == "localhost") at.host = "127.0.0.1";
  ErrorCode error;
  const auto host = asio::ip::make_address(at.host, error);
  if (error) {
    return Error(StatusCode::kInvalidArgument, "cannot listen on ", options_.address,
                 ": want the number of an address, like 127.0.0.1:9464");
  }
  loopback_ = host.is_loopback();
  if (!loopback_ && !options_.allow_remote) {
    return Error(StatusCode::kPermissionDenied, "will not listen on ", options_.address,
                 ", where others reach it without TLS: use 127.0.0.1, or allow it expressly");
  }
  const tcp::endpoint endpoint(host, static_cast<std::uint16_t>(at.port));
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  const tcp::endpoint bound = error ? endpoint : acceptor_.local_endpoint(error);
  if (error) {
    return Error(StatusCode::kUnavailable, "cannot listen on ", options_.address, ": ",
                 error.message());
  }
  const std::string name = host.is_v6() ? "[" + host.to_string() + "]" : host.to_string();
  address_ = name + ":" + std::to_string(bound.port());
  return absl::OkStatus();
}

void Listener::Accept() {
  acceptor_.async_accept([self = shared_from_this()](const ErrorCode& error, tcp::socket socket) {
    if (!self->acceptor_.is_open()) return;
    if (!error) return self->Admit(std::move(socket));
    self->again_.expires_after(kAcceptAgain);
    self->again_.async_wait([self](const ErrorCode& stopped) {
      if (!stopped && self->acceptor_.is_open()) self->Accept();
    });
  });
}

// Where there is no room, the connection that has been idle for longest makes it; if none is, no more
// are accepted until one ends.
void Listener::Admit(tcp::socket socket) {
  waiting_ = std::move(socket);
  if (connections_.size() >= options_.connections) return MakeRoom();
  ErrorCode ignored;
  waiting_->set_option(tcp::no_delay(true), ignored);
  const auto connection =
      std::make_shared<Connection>(shared_from_this(), io_, *std::move(waiting_));
  waiting_.reset();
  connections_.insert(connection);
  connection->AwaitRequest();
  Accept();
}

void Listener::MakeRoom() {
  const auto idle = waiting_ ? LongestIdle() : nullptr;
  if (idle) idle->Close();  // Forget() goes on
}

void Listener::Forget(const std::shared_ptr<Connection>& connection) {
  connections_.erase(connection);
  if (waiting_ && acceptor_.is_open()) Admit(*std::exchange(waiting_, std::nullopt));
}

std::shared_ptr<Connection> Listener::LongestIdle() const {
  std::shared_ptr<Connection> longest;
  for (const auto& connection : connections_) {
    if (!connection->idle()) continue;
    if (!longest || connection->idle_until() < longest->idle_until()) longest = connection;
  }
  return longest;
}

void Listener::Close() {
  gate_->Close();
  ErrorCode ignored;
  acceptor_.close(ignored);
  again_.cancel();
  waiting_.reset();
  for (const auto& connection : std::set(connections_)) connection->Close();
}

class ReactorHttpServer final : public HttpServer {
 public:
  ReactorHttpServer(asio::io_context& io, std::shared_ptr<Listener> listener)
      : io_(io), listener_(std::move(listener)) {
    asio::post(io_, [listener = listener_] { listener->Begin(); });
  }
  ~ReactorHttpServer() override {
    std::promise<void> closed;
    asio::dispatch(io_, [this, &closed] {
      listener_->Close();
      closed.set_value();
    });
    closed.get_future().wait();
  }
  const std::string& address() const override { return listener_->address(); }

 private:
  asio::io_context& io_;
  const std::shared_ptr<Listener> listener_;
};

}  // namespace

StatusOr<std::unique_ptr<HttpServer>> StartHttpServer(Reactor& reactor, const HttpOptions& options,
                                                      HttpHandler handler) {
  auto listener = std::make_shared<Listener>(reactor, options, std::move(handler));
  RETURN_IF_ERROR(listener->Listen());
  return std::make_unique<ReactorHttpServer>(IoContext(reactor), std::move(listener));
}

}  // namespace kiln
