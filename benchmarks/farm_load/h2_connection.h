#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "benchmarks/farm_load/h2_call.h"
#include "benchmarks/farm_load/load_loop.h"
#include "benchmarks/farm_load/tls_client.h"

struct nghttp2_session;

namespace kiln::load {

// The server, as every connection to it needs it.
struct Server {
  std::string address;    // as the user gave it
  std::string authority;  // what calls name as their server
  std::string host;       // for which its certificate has to be
  struct Place {
    sockaddr_storage name{};
    socklen_t size = 0;
  };
  std::vector<Place> places;  // tried in turn
};

// Buffers that all connections use in turn, within one event each.
struct SharedBuffers {
  std::vector<char> received, plaintext;
  std::string frames, records;  // to be sent, before TLS and after it
};

// This is one connection to the server, from dialling to its end: HTTP/2 in plaintext or over TLS, with
// calls on it. A line that is silent for five seconds is asked for life with a PING, as Kiln's programs
// do, since a tracker has to bear it. What calls have to send goes out at the end of a batch, in one piece.
class H2Connection final : public std::enable_shared_from_this<H2Connection>,
                           private LoadLoop::Watcher,
                           private CallHost {
 public:
  // Told of a connection's life.
  class Owner {
   public:
    // The server speaks HTTP/2: calls can be started.
    virtual void OnReady(H2Connection& connection) = 0;
    // The server wants no more calls; those under way go on. When the last has ended, so has the connection.
    virtual void OnDraining(H2Connection& connection) = 0;
    // A call has come too late for a connection that is draining: the server has not seen it.
    virtual void OnRefused(Call& call) = 0;
    // The connection is over; then its calls are told to be.
    virtual void OnClosed(H2Connection& connection, const Status& why) = 0;

   protected:
    ~Owner() = default;
  };

  // Dials; what comes of it, the owner is told later. Without `tls` in plaintext. Owner, server and
  // buffers outlive the connection or its Drop().
  static std::shared_ptr<H2Connection> Dial(LoadLoop& loop, const Server& server,
                                            SharedBuffers& buffers, ssl_ctx_st* tls, Owner& owner);
  H2Connection(LoadLoop& loop, const Server& server, SharedBuffers& buffers, Owner& owner);
  ~H2Connection();
  H2Connection(const H2Connection&) = delete;
  H2Connection& operator=(const H2Connection&) = delete;

  bool ready() const { return phase_ == Phase::kReady; }
  // When it is ready.
  void Start(Call& call);
  // The owner has had enough: says goodbye and closes. Nobody is told.
  void Drop();

 private:
  struct Callbacks;  // nghttp2's
  enum class Phase { kConnecting, kHandshake, kGreeting, kReady, kClosed };

  void Connect();
  void OnEvents(std::uint32_t events) override;
  int OpenSocket(const Server::Place& place);
  void OnConnected();
  void OnNotConnected(int error);
  void BeginHttp2();
  void Receive(bool to_the_end);
  void Take(std::string_view bytes);
  void TakeTls(std::string_view bytes);
  void TakeHttp2(std::string_view bytes);
  void Flush();
  void CollectFrames();
  void SendFrames();
  void Send(std::string_view bytes);
  void OnAlarm();

  void Abandon(Call& call) override;
  void Resume(Call& call) override;
  Call* CallOn(std::int32_t stream) const;
  void Remove(Call& call);
  void Finish(Call& call, const Status& status);
  void Fail(const std::string& what);
  void Close(const Status& why);
  void CloseSocket();
  void Goodbye();

  LoadLoop& loop_;
  const Server& server_;
  SharedBuffers& buffers_;
  Owner* owner_;  // null: dropped
  Phase phase_ = Phase::kConnecting;
  std::size_t place_ = 0;  // of the server's, that is tried
  int fd_ = -1;
  std::unique_ptr<TlsSession> tls_;
  nghttp2_session* session_ = nullptr;
  // nghttp2 calls back: it must not be asked for frames now.
  bool in_callbacks_ = false;
  bool draining_ = false;
  bool asked_for_life_ = false;
  std::string unsent_;     // what the socket has not taken yet
  int connect_error_ = 0;  // that could not be told at once
  std::string goaway_;     // the server's last words
  SteadyTime heard_;       // when something last came
  std::vector<Call*> calls_;
  Deferred flush_;
  Alarm alarm_;
};

}  // namespace kiln::load
