#include "kernel_host/zygote.h"

#include <string>

#include "base/frame.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/trial.h"

// A process that starts small and stays small and single-threaded can fork in a fraction of a
// millisecond; one that is exec'd per kernel, or forks from a large parent, needs ten to a hundred
// times as long. So kiln-server starts this one once, and it forks a runner per kernel.

namespace kiln {
namespace {

HostReply Try(TrialSupervisor& supervisor, const std::string& frame) {
  HostRequest request;
  if (Deserialize(frame, request)) return supervisor.Run(request);
  HostReply reply;
  reply.outcome = Failure{Stage::kLoad, FailureKind::kBadObject, "malformed request frame"};
  return reply;
}

}  // namespace

int ServeTrials(int socket) {
  TrialSupervisor supervisor(socket);
  std::string frame;
  while (ReadFrame(socket, frame)) {
    const std::string answer =
        frame == kDescribeFrame ? Serialize(DescribeHost()) : Serialize(Try(supervisor, frame));
    if (!WriteFrame(socket, answer)) break;
    supervisor.TakeDown();  // while the server is busy with the answer
  }
  return 0;
}

}  // namespace kiln
