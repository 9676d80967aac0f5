#include "benchmarks/farm_load/channel.h"

#include <netdb.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "proto/address.h"

namespace kiln::load {
namespace {

using std::chrono::milliseconds;

// As proto/transport.cc.
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{1000};
// A call of TLS gets at most a record, of HTTP/2 whatever has come.
constexpr std::size_t kReceived = 64 << 10;
constexpr std::size_t kRecord = 16 << 10;

Server::Place UnixPlace(const std::string& address) {
  Server::Place place;
  auto& name = reinterpret_cast<sockaddr_un&>(place.name);
  name.sun_family = AF_UNIX;
  UnixPath(address).copy(name.sun_path, sizeof name.sun_path - 1);
  place.size = sizeof name;
  return place;
}

StatusOr<std::vector<Server::Place>> LookUp(const HostPort& address) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  const int error =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) {
    return Error(StatusCode::kUnavailable, "there is no host ", address.host, " (",
                 gai_strerror(error), ")");
  }
  std::vector<Server::Place> places;
  for (const addrinfo* one = found; one; one = one->ai_next) {
    Server::Place& place = places.emplace_back();
    std::memcpy(&place.name, one->ai_addr, one->ai_addrlen);
    place.size = one->ai_addrlen;
  }
  freeaddrinfo(found);
  return places;
}

StatusOr<std::shared_ptr<ssl_ctx_st>> ContextOf(Dialer& dialer, const Credential& credential) {
  if (credential.ca.empty()) return std::shared_ptr<ssl_ctx_st>();
  return dialer.contexts().Get(credential);
}

}  // namespace

StatusOr<std::unique_ptr<Dialer>> Dialer::Open(LoadLoop& loop, const Endpoint& endpoint) {
  RETURN_IF_ERROR(CheckAddress(endpoint.address));
  Server server;
  server.address = endpoint.address;
  if (IsUnixAddress(endpoint.address)) {
    server.authority = server.host = "localhost";
    server.places = {UnixPlace(endpoint.address)};
  } else {
    const std::optional<HostPort> address = SplitAddress(endpoint.address);
    server.authority = endpoint.address;
    server.host = address->host;
    ASSIGN_OR_RETURN(server.places, LookUp(*address));
  }
  if (!endpoint.tls_name.empty()) server.authority = server.host = endpoint.tls_name;
  return std::unique_ptr<Dialer>(new Dialer(loop, std::move(server)));
}

Dialer::Dialer(LoadLoop& loop, Server server) : loop_(loop), server_(std::move(server)) {
  buffers_.received.resize(kReceived);
  buffers_.plaintext.resize(kRecord);
}

Channel::Channel(Dialer& dialer, const Credential& credential)
    : dialer_(dialer), tls_(ContextOf(dialer, credential)), pause_(kFirstPause) {}

Channel::~Channel() {
  if (connection_) connection_->Drop();
  for (const auto& connection : draining_) connection->Drop();
  while (!waiting_.empty()) Abandon(*waiting_.back());
}

void Channel::Start(Call& call) {
  call.in_.clear();
  call.http_status_ = 0;
  call.grpc_status_ = -1;
  call.grpc_message_.clear();
  call.paused_ = call.all_sent_ = false;
  if (connection_ && connection_->ready()) return connection_->Start(call);
  call.host_ = this;
  waiting_.push_back(&call);
  if (!tls_.ok()) return call.EndSoon(tls_.status());
  if (!connection_ && LoadLoop::Now() < next_dial_) return call.EndSoon(failure_);
  DialIfWanted();
}

void Channel::DialIfWanted() {
  if (connection_ || waiting_.empty()) return;
  connection_ =
      H2Connection::Dial(dialer_.loop(), dialer_.server(), dialer_.buffers(), tls_->get(), *this);
}

void Channel::OnReady(H2Connection& connection) {
  pause_ = kFirstPause;
  for (Call* call : std::exchange(waiting_, {})) {
    if (call->ending_.posted()) {
      waiting_.push_back(call);
    } else {
      connection.Start(*call);
    }
  }
}

void Channel::OnDraining(H2Connection& connection) {
  if (connection_.get() != &connection) return;
  draining_.push_back(std::move(connection_));
  connection_.reset();
  DialIfWanted();
}

void Channel::OnClosed(H2Connection& connection, const Status& why) {
  if (connection_.get() == &connection) {
    // One that has been ready is dialled again at once.
    if (!waiting_.empty()) PutOff();
    failure_ = why;
    connection_.reset();
    for (Call* call : waiting_) call->EndSoon(why);
  } else {
    draining_.erase(std::remove_if(draining_.begin(), draining_.end(),
                                   [&](const auto& one) { return one.get() == &connection; }),
                    draining_.end());
  }
}

void Channel::PutOff() {
  next_dial_ = LoadLoop::Now() + pause_;
  pause_ = std::min<std::chrono::nanoseconds>(pause_ * 8 / 5, kLongestPause);
}

void Channel::Abandon(Call& call) {
  waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &call));
  call.Detach();
}

}  // namespace kiln::load
