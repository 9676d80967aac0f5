#pragma once

#include <memory>
#include <string>

#include "base/reactor.h"
#include "base/status.h"

// What Kiln's servers have in common as programs.

namespace kiln {

// The log goes to standard error: standard output has one line, the address.
void LogToStandardError();

// Prints "listening on ADDRESS", for people and for programs that start this one.
void AnnounceAddress(const std::string& address);

// This waits for the end of a serving program: SIGINT, SIGTERM, or the end of the program that
// started it. A second signal ends the program at once, with status 1.
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

// One per program. The reactor must outlive it.
std::shared_ptr<ServingLife> NewServingLife(Reactor& reactor);

// Prints "PROGRAM: MESSAGE" on standard error; the exit status: 2 if what was asked is wrong
// (kInvalidArgument, kNotFound, kPermissionDenied), else 1.
int ReportFailure(const char* program, const Status& status);

}  // namespace kiln
