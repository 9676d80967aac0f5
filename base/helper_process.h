#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/reactor.h"
#include "base/status.h"

namespace kiln {

struct HelperOptions {
  std::string program;                 // an absolute path: see FindHelper()
  std::vector<std::string> arguments;  // without the program's name
  std::string name;                    // for error messages: "kiln-host"
};

// This is one helper program (kiln-compile-worker, kiln-host) and the stream socket to it. The
// helper finds the socket as its file descriptor 3 and speaks frames: a 32-bit little-endian
// length, then that many bytes. It is started by exec, never by fork alone, in a process group of
// its own, and is killed with all its group when this object goes, or when this program dies
// (PR_SET_PDEATHSIG). One Call at a time; different threads may take turns.
class HelperProcess {
 public:
  virtual ~HelperProcess() = default;

  // Sends one frame and returns the frame that answers it.
  //   kDeadlineExceeded  no answer in time: the helper has been killed
  //   kUnavailable       the helper died first; the message says how ("kiln-host: killed by
  //   SIGSEGV")
  // After an error the object is spent: start another.
  virtual StatusOr<std::string> Call(std::string_view request,
                                     std::chrono::nanoseconds timeout) = 0;

  virtual int pid() const = 0;
  virtual bool alive() const = 0;
};

StatusOr<std::unique_ptr<HelperProcess>> StartHelper(Reactor& reactor,
                                                     const HelperOptions& options);

// The absolute path of a helper program, looked for beside the running program (build tree), then
// in
// ../libexec/kiln (installed). kNotFound names both places.
StatusOr<std::string> FindHelper(std::string_view name);

// The directory of data files of this name ("targets"): in the source tree for a build tree's
// program, in ../share/kiln when installed.
StatusOr<std::string> FindData(std::string_view name);

}  // namespace kiln
