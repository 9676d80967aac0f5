#include "kernel_host/fault.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/digest.h"

namespace kiln {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
constexpr int kFaultExitStatus = 99;  // never looked at: the record tells
constexpr std::uint64_t kNearStack = 64 << 10;

struct Buffer {
  BufferName name;
  int thread;
  std::uintptr_t begin, end, mapping_begin, mapping_end;
};

// Signal handlers have no argument of their own: this is theirs.
FaultRecord* trap_record = nullptr;
std::array<Buffer, 256> trap_buffers;
std::size_t trap_buffer_count = 0;

#if defined(__x86_64__)
std::uint64_t StackPointer(const ucontext_t& context) {
  return static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RSP]);
}
// The page fault's error code: bit 1 is a write, bit 4 an instruction fetch.
FaultRecord::Access AccessOf(const ucontext_t& context) {
  const auto error = context.uc_mcontext.gregs[REG_ERR];
  if (error & 16) return FaultRecord::Access::kExecute;
  return error & 2 ? FaultRecord::Access::kWrite : FaultRecord::Access::kRead;
}
#else
std::uint64_t StackPointer(const ucontext_t& context) { return context.uc_mcontext.sp; }
// The exception syndrome lies among the extension records (asm/sigcontext.h): class 0x20 is an
// instruction abort, bit 6 (WnR) of a data abort a write.
FaultRecord::Access AccessOf(const ucontext_t& context) {
  const auto* at = reinterpret_cast<const std::uint8_t*>(context.uc_mcontext.__reserved);
  for (std::size_t offset = 0; offset + 16 <= sizeof context.uc_mcontext.__reserved;) {
    std::uint32_t magic, size;
    std::memcpy(&magic, at + offset, sizeof magic);
    std::memcpy(&size, at + offset + 4, sizeof size);
    if (magic == 0x45535201) {
      std::uint64_t syndrome;
      std::memcpy(&syndrome, at + offset + 8, sizeof syndrome);
      if (syndrome >> 26 == 0x20) return FaultRecord::Access::kExecute;
      return syndrome & 64 ? FaultRecord::Access::kWrite : FaultRecord::Access::kRead;
    }
    if (magic == 0 || size == 0) break;
    offset += size;
  }
  return FaultRecord::Access::kUnknown;
}
#endif

void LocateInBuffers(FaultRecord& record) {
  const std::uint64_t address = record.address;
  for (std::size_t i = 0; i < trap_buffer_count; ++i) {
    const Buffer& buffer = trap_buffers[i];
    if (address < buffer.mapping_begin || address >= buffer.mapping_end) continue;
    record.buffer = buffer.name;
    record.thread = buffer.thread;
    if (address < buffer.begin) {
      record.relation = FaultRecord::Relation::kBefore;
      record.distance = buffer.begin - address;
    } else if (address >= buffer.end) {
      record.relation = FaultRecord::Relation::kPast;
      record.distance = address - buffer.end + 1;
    } else {
      record.relation = FaultRecord::Relation::kInside;
      record.distance = address - buffer.begin;
    }
    return;
  }
}

void LocateMemoryFault(FaultRecord& record, const siginfo_t& info, const ucontext_t& context) {
  record.access = AccessOf(context);
#if defined(SI_KERNEL)
  record.wild = info.si_code == SI_KERNEL;  // x86: an address that no pointer can have
#endif
  LocateInBuffers(record);
  const std::uint64_t stack = StackPointer(context);
  record.stack = record.relation == FaultRecord::Relation::kElsewhere && !record.wild &&
                 record.address + kNearStack > stack && record.address < stack + kNearStack;
}

void OnSignal(int signal, siginfo_t* info, void* context) {
  FaultRecord& record = *trap_record;
  // The first thread reports and ends the process; the others wait for that.
  if (record.taken.exchange(true)) {
    for (;;) sched_yield();
  }
  record.signal = signal;
  record.address = reinterpret_cast<std::uint64_t>(info->si_addr);
  if (signal == SIGSYS) record.system_call = info->si_syscall;
  if (signal == SIGSEGV || signal == SIGBUS) {
    LocateMemoryFault(record, *info, *static_cast<const ucontext_t*>(context));
  }
  record.complete.store(true, std::memory_order_release);
  _exit(kFaultExitStatus);
}

// The calls that a kernel gone astray, or up to no good, is most likely to try.
const char* SystemCallName(int number) {
  switch (number) {
#if defined(__x86_64__)
    case SYS_open:
      return "open";
    case SYS_fork:
      return "fork";
    case SYS_vfork:
      return "vfork";
    case SYS_unlink:
      return "unlink";
#endif
    case SYS_openat:
      return "openat";
    case SYS_read:
      return "read";
    case SYS_write:
      return "write";
    case SYS_close:
      return "close";
    case SYS_socket:
      return "socket";
    case SYS_connect:
      return "connect";
    case SYS_clone:
      return "clone";
    case SYS_clone3:
      return "clone3";
    case SYS_execve:
      return "execve";
    case SYS_mmap:
      return "mmap";
    case SYS_munmap:
      return "munmap";
    case SYS_mprotect:
      return "mprotect";
    case SYS_madvise:
      return "madvise";
    case SYS_brk:
      return "brk";
    case SYS_kill:
      return "kill";
    case SYS_tgkill:
      return "tgkill";
    case SYS_ptrace:
      return "ptrace";
    case SYS_prctl:
      return "prctl";
    case SYS_rt_sigaction:
      return "rt_sigaction";
    case SYS_nanosleep:
      return "nanosleep";
    case SYS_getpid:
      return "getpid";
    case SYS_unlinkat:
      return "unlinkat";
    default:
      return nullptr;
  }
}

std::string Bytes(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " byte" : " bytes");
}

const char* Name(FaultRecord::Access access) {
  switch (access) {
    case FaultRecord::Access::kRead:
      return "read";
    case FaultRecord::Access::kWrite:
      return "write";
    case FaultRecord::Access::kExecute:
      return "jump";
    default:
      return "access";
  }
}

const char* Name(BufferName name) {
  switch (name) {
    case BufferName::kX:
      return "x";
    case BufferName::kY:
      return "y";
    case BufferName::kWeights:
      return "w";
    case BufferName::kBias:
      return "bias";
    case BufferName::kMultiplier:
      return "mult";
    case BufferName::kShift:
      return "shift";
    case BufferName::kScale:
      return "scale";
    case BufferName::kPacked:
      return "packed";
    case BufferName::kSharedWorkspace:
      return "shared_ws";
    case BufferName::kThreadWorkspace:
      return "thread_ws";
    default:
      return "a buffer";
  }
}

std::string DescribeMemoryFault(const FaultRecord& record) {
  const std::string access = Name(record.access);
  if (record.stack) return "stack overflow";
  if (record.wild) return access + " at an address that no pointer can have";
  if (record.relation == FaultRecord::Relation::kElsewhere) {
    return access + " at address 0x" + Hex(record.address) + ", outside of all buffers";
  }
  std::string buffer = Name(record.buffer);
  if (record.buffer == BufferName::kThreadWorkspace) {
    buffer += " of thread " + std::to_string(record.thread);
  }
  switch (record.relation) {
    case FaultRecord::Relation::kBefore:
      return access + " before " + buffer + " by " + Bytes(record.distance);
    case FaultRecord::Relation::kPast:
      return access + " past the end of " + buffer + " by " + Bytes(record.distance);
    default:
      return access + " to " + buffer + " at byte " + std::to_string(record.distance) +
             ", which is read-only";
  }
}

}  // namespace

void FaultTrap::Install(FaultRecord& record) {
  trap_record = &record;
  struct sigaction action {};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&action.sa_mask);  // a fault in the handler itself kills, with the record as it is
  for (const int signal : kSignals) sigaction(signal, &action, nullptr);
}

void FaultTrap::ForgetBuffers() { trap_buffer_count = 0; }

void FaultTrap::Declare(BufferName name, const GuardedBuffer& buffer, Placement placement,
                        int thread) {
  if (!buffer.mapped() || trap_buffer_count == trap_buffers.size()) return;
  const auto begin = reinterpret_cast<std::uintptr_t>(buffer.At(placement));
  trap_buffers[trap_buffer_count++] = {
      name, thread, begin, begin + buffer.size(), buffer.mapping_begin(), buffer.mapping_end()};
}

std::string Describe(const FaultRecord& record) {
  std::string text = SignalName(record.signal);
  if (record.signal == SIGSEGV || record.signal == SIGBUS) {
    return text + ": " + DescribeMemoryFault(record);
  }
  if (record.signal == SIGSYS) {
    text += ": tried system call " + std::to_string(record.system_call);
    if (const char* name = SystemCallName(record.system_call))
      text += std::string(" (") + name + ")";
  }
  if (record.signal == SIGILL) text += ": illegal instruction";
  return text;
}

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

}  // namespace kiln
