#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace kiln {

// A child process and our ends of what connects us to it. Plain numbers: the caller owns all three
// descriptors (close-on-exec) and must reap the child.
struct Child {
  pid_t pid = -1;
  int pidfd = -1;   // readable when the child has ended
  int socket = -1;  // the other end is the child's kHelperSocket
  int output = -1;  // reads what the child prints
};

// Starts `program` (an absolute path) the way HelperProcess describes it. The child is killed when
// the calling *thread* ends, so this is called on the reactor's thread. Its standard input is a file
// in memory with the text `input`, which it may also open as /dev/stdin; without one, /dev/null.
// kUnavailable says what failed: the file cannot be executed, no more processes, descriptors or
// memory.
StatusOr<Child> Spawn(const std::string& program, const std::vector<std::string>& arguments,
                      const std::optional<std::string>& input = std::nullopt);

}  // namespace kiln
