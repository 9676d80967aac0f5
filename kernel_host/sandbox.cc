#include "kernel_host/sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace kiln {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

constexpr std::uint32_t kAlwaysAllowed[] = {SYS_futex,        SYS_sched_yield, SYS_clock_gettime,
                                            SYS_rt_sigreturn, SYS_exit,        SYS_exit_group};

constexpr std::uint64_t kStackBytes = 1 << 20;  // of the first thread; kernels need some KiB

// The filter as a classic BPF program: seccomp(2), linux/filter.h. SECCOMP_RET_TRAP prevents the
// call as surely as killing does, and lets the SIGSYS handler report which one it was. A number of
// the x32 interface is not in the list either: it carries bit 30.
class Filter {
 public:
  explicit Filter(int channel) {
    Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
    Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
    Add(Return(SECCOMP_RET_KILL_PROCESS));
    Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    for (const std::uint32_t number : kAlwaysAllowed) {
      Add(SkipUnlessEqual(number, 1));
      Add(Return(SECCOMP_RET_ALLOW));
    }
    for (const std::uint32_t number : {SYS_read, SYS_write}) {
      Add(SkipUnlessEqual(number, 4));
      Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])));  // its low half
      Add(SkipUnlessEqual(static_cast<std::uint32_t>(channel), 1));
      Add(Return(SECCOMP_RET_ALLOW));
      Add(Return(SECCOMP_RET_TRAP));
    }
    Add(Return(SECCOMP_RET_TRAP));
  }

  // SPEC_ALLOW: a filter would otherwise switch speculative store bypass off on older systems, and
  // kernels would be timed slower than they run elsewhere. TSYNC: for all threads.
  bool Install() {
    const sock_fprog program = {length_, instructions_.data()};
    const unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0;
  }

 private:
  static sock_filter SkipUnlessEqual(std::uint32_t value, std::uint8_t skip) {
    return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip);
  }
  static sock_filter Return(std::uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
  void Add(sock_filter instruction) { instructions_[length_++] = instruction; }

  std::array<sock_filter, 40> instructions_;  // not on the heap: free() may want a system call
  unsigned short length_ = 0;
};

void Limit(int resource, std::uint64_t value, const char* name, std::string& log) {
  const rlimit limit = {value, value};
  if (setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    log += std::string("cannot limit ") + name + ": " + std::strerror(errno) + "\n";
  }
}

// Of this process, in bytes; 0 if /proc does not say.
std::uint64_t AddressSpace() {
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[128] = {};
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  unsigned long long pages = 0;
  if (size <= 0 || std::sscanf(text, "%llu", &pages) != 1) return 0;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void BeFirstWithoutMemory() {
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, "1000", 4) != 4) errno = 0;  // some containers forbid it: then it is one of many
  close(fd);
}

}  // namespace

void LeaveParent(int parent, int channel, std::string& log) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) log += "PR_SET_PDEATHSIG is refused\n";
  if (getppid() != parent) _exit(1);  // it died before
  setpgid(0, 0);
  BeFirstWithoutMemory();
  const auto from = static_cast<unsigned>(channel);
  if (from > 3) syscall(SYS_close_range, 3u, from - 1, 0u);
  syscall(SYS_close_range, from + 1, ~0u, 0u);
}

void EnterSandbox(const SandboxLimits& limits, std::string& log) {
  Limit(RLIMIT_CORE, 0, "core files", log);
  Limit(RLIMIT_FSIZE, 0, "files", log);
  Limit(RLIMIT_NPROC, 0, "processes", log);
  Limit(RLIMIT_STACK, kStackBytes, "the stack", log);
  Limit(RLIMIT_CPU, limits.cpu_seconds, "processor time", log);
  if (const std::uint64_t mapped = AddressSpace(); mapped > 0) {
    Limit(RLIMIT_AS, mapped + limits.new_memory, "memory", log);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !Filter(limits.channel).Install()) {
    log += std::string("no system call filter: ") + std::strerror(errno) +
           "; the kernel is only limited\n";
  }
}

}  // namespace kiln
