#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace kiln {

// What a test's program reads and writes: open descriptors of ours, which stay ours; -1: closed.
struct StandardFiles {
  int in = 0;
  int out = 1;
  int err = 2;
  int helper = -1;  // what it finds as kHelperSocket (base/frame.h); -1: nothing
};

// Starts `path` in a process group of its own, which the kernel kills when the calling thread ends,
// however it ends: a test that is killed leaves nothing running. Returns the pid, or -1 after a
// failed expectation. `command` is the program's argv, `environment` its variables (NAME=value).
pid_t StartProgram(const std::string& path, const std::vector<std::string>& command,
                   const std::vector<std::string>& environment, const StandardFiles& files);

}  // namespace kiln
