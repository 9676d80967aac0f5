#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/reactor.h"
#include "base/status.h"

namespace kiln {

struct ChildProgramOptions {
  std::string program;  // an absolute path
  std::vector<std::string> arguments;
  // Its standard input, a file with this text; unset: /dev/null. The socket is its file descriptor 3
  // (base/frame.h).
  std::optional<std::string> input = {};
};

// How it ended, and the last line that it printed on standard output or error.
struct ProgramEnd {
  int status = 0;   // exit status, or minus the signal that ended it
  std::string how;  // "exited with status 1", "killed by SIGSEGV"
  std::string last_line;
};

// This is a program that runs beside ours and tells what happens as it happens, where a
// HelperProcess answers when it is asked. It is started as helpers are: in a process group that ends
// with it, killed when this program dies or this object goes. All of it is used on the reactor's
// thread, which also calls the observer; once the object is gone nothing more is called.
class ChildProgram {
 public:
  struct Observer {
    std::function<void(std::string frame)> frame = nullptr;  // it sent one; null: nobody cares
    std::function<void(const ProgramEnd&)> ended;            // once, after its last frame
  };
  virtual ~ChildProgram() = default;
  virtual void Send(std::string frame) = 0;  // in order; lost if it has ended
  virtual void Signal(int signal) = 0;       // to the program alone
  virtual void Kill() = 0;                   // with its group
  virtual int pid() const = 0;
};

// On the reactor's thread. kUnavailable: it cannot be executed.
StatusOr<std::unique_ptr<ChildProgram>> StartProgram(Reactor& reactor,
                                                     const ChildProgramOptions& options,
                                                     ChildProgram::Observer observer);

}  // namespace kiln
