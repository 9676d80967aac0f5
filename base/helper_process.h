#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/paths.h"  // FindHelper() names the program to start
#include "base/reactor.h"
#include "base/status.h"

namespace kiln {

struct HelperOptions {
  std::string program;                 // an absolute path: see FindHelper()
  std::vector<std::string> arguments;  // without the program's name
  std::string name;                    // for error messages: "kiln-host"
};

// This is one helper program (kiln-compile-worker, kiln-host) and the stream socket to it. The
// helper finds the socket as its file descriptor 3 (base/frame.h) and speaks frames: a 32-bit
// little-endian length, then that many bytes. It inherits no other descriptor; its standard input
// is empty, and what it prints is not shown, but the last line of it explains a death. It is
// started by exec, never by fork alone, in a process group of its own. That group is killed when
// the helper ends and when this object goes, and the helper when this program dies
// (PR_SET_PDEATHSIG): nothing is left running, and no zombie. One Call at a time; different threads
// may take turns, but never the reactor's.
class HelperProcess {
 public:
  virtual ~HelperProcess() = default;

  // What a time-out counts. kProcessor: the processor time of the helper's own process, not of
  // those it starts; one that gets none, on a busy machine, is given up after ten times as long.
  enum class Clock : std::uint8_t { kWall, kProcessor };

  // Sends one frame and returns the frame that answers it.
  //   kDeadlineExceeded  no answer in time: the helper has been killed
  //   kUnavailable       the helper died first; the message says how ("kiln-host: killed by
  //                      SIGSEGV: <the last line that it printed>")
  // After an error the object is spent: start another.
  virtual StatusOr<std::string> Call(std::string_view request, std::chrono::nanoseconds timeout,
                                     Clock clock = Clock::kWall) = 0;

  // Ends the helper soon; a call under way ends with kUnavailable. Thread-safe, does not block.
  virtual void Kill() = 0;

  virtual int pid() const = 0;
  virtual bool alive() const = 0;  // false as soon as it has been reaped
};

// The reactor must outlive the helper. kUnavailable: the program cannot be executed, or the system
// gives no more processes or descriptors.
StatusOr<std::unique_ptr<HelperProcess>> StartHelper(Reactor& reactor,
                                                     const HelperOptions& options);

}  // namespace kiln
