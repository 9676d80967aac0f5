#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace kiln {

// How a child of Spawn() ended.
struct ChildEnd {
  int status = 0;   // exit status, or minus the signal that ended it
  std::string how;  // "exited with status 1", "killed by SIGSEGV"
};

// Of a child that has ended, or is about to: what it started in its group is killed, while its pid,
// a zombie's, still names the group; then it is reaped.
ChildEnd EndGroup(pid_t child);

// Appends to what a child has printed, of which only the last 4 KiB are kept.
void KeepTail(std::string& printed, std::string_view more);

// The last line with something in it, or nothing.
std::string LastLine(const std::string& text);

}  // namespace kiln
