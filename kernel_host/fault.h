#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel_host/guarded_buffer.h"

namespace kiln {

// What a kernel is given.
enum class BufferName : std::uint8_t {
  kNone,
  kX,
  kY,
  kWeights,
  kBias,
  kMultiplier,
  kShift,
  kScale,
  kPacked,
  kSharedWorkspace,
  kThreadWorkspace,
};

// One signal that a kernel has raised, as its handler wrote it down: plain values in memory that is
// shared with the supervisor, because the handler can do little else.
struct FaultRecord {
  enum class Access : std::uint8_t { kUnknown, kRead, kWrite, kExecute };
  enum class Relation : std::uint8_t { kElsewhere, kBefore, kInside, kPast };

  std::atomic<bool> taken;  // by the first thread that faults
  std::atomic<bool> complete;
  int signal, system_call;
  Access access;
  bool wild, stack;  // the address is not known; it is next to the stack pointer
  std::uint64_t address;
  BufferName buffer;  // kNone for kElsewhere
  int thread;         // kThreadWorkspace: whose
  Relation relation;
  std::uint64_t distance;  // bytes before the first, into, or past the last byte of the buffer
};

// These are the signals of a process that runs a kernel: each of SIGSEGV, SIGBUS, SIGILL, SIGFPE,
// SIGTRAP and SIGSYS is written to a FaultRecord, with the buffer that was missed, and ends the
// process. One per process.
class FaultTrap {
 public:
  // Needs an alternate signal stack on each thread to survive stack overflows.
  static void Install(FaultRecord& record);

  // The buffers that the kernel works on from now on; replaces what was declared before. Not while
  // a kernel runs. `thread` is for kThreadWorkspace.
  static void ForgetBuffers();
  static void Declare(BufferName name, const GuardedBuffer& buffer, Placement placement,
                      int thread = 0);
};

// Believes nothing of the record: the kernel may have written there.
// "SIGSEGV: read past the end of x by 1 byte", "SIGSYS: tried system call 41 (socket)".
std::string Describe(const FaultRecord& record);

// "SIGKILL", "signal 64".
std::string SignalName(int signal);

}  // namespace kiln
