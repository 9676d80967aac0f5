#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/reactor.h"
#include "base/status.h"
#include "kernel_host/host_protocol.h"

namespace kiln {

// This is where kernels run, seen from the server: one kiln-host, started when first needed and
// again whenever it has died. One Run at a time.
class HostProcess {
 public:
  virtual ~HostProcess() = default;
  // Blocks until the trial is over, at most its time-out and some seconds. Never fails: what the
  // host itself does wrong is the outcome kDeviceLost, after a second try in a new host if it died. If
  // that dies too, but a third one is well without the trial, it was the kernel's doing: kHostKilled.
  // When `stop` is requested, before or meanwhile, it ends soon, as kDeviceLost, and the kernel too.
  virtual HostReply Run(const HostRequest& request, const std::stop_token& stop) = 0;
  // What machine the kernels find themselves on. kUnavailable, kDeadlineExceeded: the host does not
  // start.
  virtual StatusOr<HostDescription> Describe() = 0;
};

// `program` with `arguments` is exec'd; the reactor must outlive it.
std::unique_ptr<HostProcess> NewHostProcess(Reactor& reactor, std::string program,
                                            std::vector<std::string> arguments);

}  // namespace kiln
