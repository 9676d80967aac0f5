#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel_host/host_protocol.h"
#include "ops/op_data.h"
#include "ops/workload.h"

namespace kiln {

// This is the real kiln-host, started as kiln-server starts it. The destructor closes its socket
// and waits for its end.
class HostProcess {
 public:
  // The program and its arguments: this machine's kiln-host, or that of another one and an
  // emulator.
  explicit HostProcess(std::vector<std::string> command = {KILN_HOST_PROGRAM});
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;
  ~HostProcess();

  // A failed expectation and an empty reply if kiln-host does not answer.
  HostReply Ask(const HostRequest& request);
  HostReply AskRaw(std::string_view frame);
  void Send(std::string_view frame);
  // Closes the socket; the exit status, or -1 if it was killed by a signal.
  int Close();
  int pid() const { return pid_; }

 private:
  int socket_ = -1, pid_ = -1;
};

// The workload that the test kernels compute (kernels/naive.h).
Workload NaiveWorkload();
// Random values for it, and the digest that they must give by the reference kernel.
OpCase NaiveCase(std::uint64_t seed);
HostCase CheckedCase(const OpCase& op_case);
// `kernel` is a name in kernels/. Two cases, verified only, on one thread, with a time-out of 5 s.
HostRequest NaiveRequest(const std::string& kernel);

// "RUNTIME_ERROR run: message", or "ok", or "censored": for one readable comparison.
std::string Summary(const HostReply& reply);

}  // namespace kiln
