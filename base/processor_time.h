#pragma once

#include <sys/types.h>

#include <chrono>

namespace kiln {

// What all threads of a process have computed so far, by the system's account; nothing if there is no
// such process.
std::chrono::nanoseconds ProcessorTime(pid_t pid);

}  // namespace kiln
