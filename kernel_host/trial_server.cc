#include "kernel_host/trial_server.h"

#include <memory>
#include <string>

#include "base/frame.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/trial.h"
#include "kernel_host/zygote.h"

namespace kiln {
namespace {

HostReply Try(TrialSupervisor& supervisor, const std::string& frame) {
  HostRequest request;
  if (Deserialize(frame, request)) return supervisor.Run(request);
  HostReply reply;
  reply.objection = "a malformed request frame";
  return reply;
}

}  // namespace

int ServeTrials(int socket) {
  // First of all, while this process holds nothing that a kernel must not see.
  const std::unique_ptr<Zygote> zygote = Zygote::Start(DetectIsa());
  if (!zygote) return 1;
  TrialSupervisor supervisor(socket, *zygote);
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
