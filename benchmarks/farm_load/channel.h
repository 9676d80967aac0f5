#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/status.h"
#include "benchmarks/farm_load/h2_call.h"
#include "benchmarks/farm_load/h2_connection.h"
#include "benchmarks/farm_load/load_loop.h"
#include "benchmarks/farm_load/tls_client.h"

namespace kiln::load {

// Where the tracker is and how it proves itself. `tls_name`: the name that the tracker's certificate
// must have, if not that of the address.
struct Endpoint {
  std::string address;
  std::string tls_name;
};

// This is what all channels to one server share. It outlives them.
class Dialer {
 public:
  // Looks its address up.
  static StatusOr<std::unique_ptr<Dialer>> Open(LoadLoop& loop, const Endpoint& endpoint);

  LoadLoop& loop() { return loop_; }
  const Server& server() const { return server_; }
  SharedBuffers& buffers() { return buffers_; }
  TlsContexts& contexts() { return contexts_; }

 private:
  Dialer(LoadLoop& loop, Server server);

  LoadLoop& loop_;
  const Server server_;
  SharedBuffers buffers_;
  TlsContexts contexts_;
};

// This is one client's or device's way to the server, with a connection of its own: dialled when a call
// wants it, and again for the next call when it is lost or the server wants no more calls on it. After a
// failure calls fail at once, with its reason, until it is time to dial again.
class Channel final : private H2Connection::Owner, private CallHost {
 public:
  Channel(Dialer& dialer, const Credential& credential);
  // Closes its connections; calls under way are over.
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  LoadLoop& loop() { return dialer_.loop(); }
  void Start(Call& call);

 private:
  void OnReady(H2Connection& connection) override;
  void OnDraining(H2Connection& connection) override;
  void OnRefused(Call& call) override { Start(call); }
  void OnClosed(H2Connection& connection, const Status& why) override;
  void Abandon(Call& call) override;
  void Resume(Call&) override {}
  void DialIfWanted();
  void PutOff();

  Dialer& dialer_;
  const StatusOr<std::shared_ptr<ssl_ctx_st>> tls_;  // null: plaintext
  std::shared_ptr<H2Connection> connection_;         // null: none is dialled
  std::vector<std::shared_ptr<H2Connection>> draining_;
  std::vector<Call*> waiting_;  // for the connection, or to be told that there is none
  std::chrono::nanoseconds pause_;
  SteadyTime next_dial_;
  Status failure_;  // of the last dialling
};

}  // namespace kiln::load
