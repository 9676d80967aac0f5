#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/serving/log.h"
#include "base/clock.h"
#include "base/reactor.h"
#include "base/status.h"
#include "proto/peer.h"
#include "proto/transport.h"

// What Kiln's servers have in common as programs.

namespace kiln {

// Listen() where the command line says, with gRPC's lines in the log; what is wrong with the address is a usage error.
StatusOr<std::unique_ptr<RpcServer>> ListenAsAsked(const ListenOptions& options,
                                                   const std::vector<grpc::Service*>& services);

// Who may call a server that listens so: looks at its certificate, which must be one of `role`, and
// at its peers'. Without TLS everybody may. What is wrong with the files is an error.
StatusOr<std::unique_ptr<PeerCheck>> CheckPeers(const ListenOptions& options, Role role,
                                                const Clock& clock, const CallRate& rate = {});

// Says loudly in the log that whoever reaches the address can do `harm`, if that is so.
void WarnIfOpen(const ListenOptions& options, const std::string& address, const char* harm);

// Prints "listening on ADDRESS", for people and for programs that start this one. Where standard
// output does not take it, the log says so: a server serves all the same.
void AnnounceAddress(const std::string& address);

// This waits for the end of a serving program: SIGINT, SIGTERM, SIGHUP, or the end of the program
// that started it. A second signal ends the program at once, with status 1.
class ServingLife {
 public:
  virtual ~ServingLife() = default;
  // Answers every frame (base/frame.h) that comes on this stream socket with `address`, and takes
  // its end for the end of the parent, as a HelperProcess's does.
  virtual void FollowParent(int socket, const std::string& address) = 0;
  virtual void AwaitEnd() = 0;
  // From now on the program has this long to end in order; then it ends anyhow, with status 0.
  virtual void LimitEnding(std::chrono::nanoseconds time) = 0;
};

// The end of a serving program: its exit status, and what went wrong as the log's last line
// (ReportError() would wait for whoever reads standard error).
int EndServing(const std::string& program, const Status& status);

// One per program. The reactor must outlive it.
std::shared_ptr<ServingLife> NewServingLife(Reactor& reactor);

}  // namespace kiln
