#pragma once

#include <string_view>

// Other processes, as /proc shows them.

namespace kiln {

// The only child of a process, as soon as there is one; -1 after half a minute without.
int ChildOf(int parent);

// The first child that has computed for some milliseconds, and is in the middle of its work; -1 after
// half a minute without. Of those that come and go, the one that stays.
int BusyChildOf(int parent);

// The most that the process has had in memory so far, in bytes.
long MostMemoryOf(int pid);

// Whether any memory of the process that can be read holds these bytes.
bool HoldsInMemory(int pid, std::string_view bytes);

}  // namespace kiln
