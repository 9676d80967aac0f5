// vfork and exec: the child borrows our memory until it has become the other program, so that
// starting it costs the same from a parent of 10 MB and of 10 GB, and is safe beside other threads
// as long as it makes system calls only. posix_spawn would do the same but cannot set
// PR_SET_PDEATHSIG. A pipe that exec closes brings what went wrong, and the wait for it is one for
// the exec, so that nothing depends on vfork not being fork (as it is under the thread sanitizer).
#include "base/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgot it in this header
#include <sys/pidfd.h>
}

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/frame.h"

namespace kiln {
namespace {

// This is a descriptor that is closed unless somebody takes it.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~OwnedFd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Take() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct Pair {
  OwnedFd ours, theirs;
};

StatusOr<Pair> SystemError(const char* what) {
  return Error(StatusCode::kUnavailable, what, ": ", std::strerror(errno));
}

StatusOr<Pair> SocketPair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    return SystemError("no socket for a helper");
  }
  return Pair{OwnedFd(fds[0]), OwnedFd(fds[1])};
}

StatusOr<Pair> Pipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return SystemError("no pipe for a helper");
  return Pair{OwnedFd(fds[0]), OwnedFd(fds[1])};
}

// A file in memory with this text, at its beginning.
StatusOr<OwnedFd> FileOf(const std::string& text) {
  OwnedFd file(memfd_create("input", MFD_CLOEXEC));
  std::size_t written = 0;
  while (file.get() >= 0 && written < text.size()) {
    const ssize_t size = write(file.get(), text.data() + written, text.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    written += static_cast<std::size_t>(size);
  }
  if (file.get() < 0 || written < text.size() || lseek(file.get(), 0, SEEK_SET) != 0) {
    return Error(StatusCode::kUnavailable, "no input for a helper: ", std::strerror(errno));
  }
  return file;
}

StatusOr<OwnedFd> InputOf(const std::optional<std::string>& text) {
  if (text) return FileOf(*text);
  return OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

struct ExecPlan {
  const char* program;
  char* const* argv;
  pid_t parent;
  int input, output, socket, report;
};

// The child's part, in our memory: system calls only. Returns errno when it could not exec.
int BecomeHelper(const ExecPlan& plan) {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  if (getppid() != plan.parent) return ESRCH;  // it died before the line above
  // dup2 clears close-on-exec. The four are above kHelperSocket, see Spawn().
  if (dup2(plan.input, STDIN_FILENO) < 0 || dup2(plan.output, STDOUT_FILENO) < 0 ||
      dup2(plan.output, STDERR_FILENO) < 0 || dup2(plan.socket, kHelperSocket) < 0 ||
      close_range(kHelperSocket + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0) {
    return errno;
  }
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv(plan.program, plan.argv);
  return errno;
}

// Returns the child's pid, or -1 with errno.
pid_t ForkAndExec(const ExecPlan& plan) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // no handler of ours runs in the child
  const pid_t pid = vfork();
  if (pid == 0) {
    const int error = BecomeHelper(plan);
    if (write(plan.report, &error, sizeof error) < 0) _exit(126);
    _exit(127);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pid;
}

// Waits for the child's exec; returns the errno of what went wrong before or in it.
int ErrorFrom(int report) {
  int error = 0;
  while (read(report, &error, sizeof error) < 0 && errno == EINTR) {
  }
  return error;
}

// Moves a descriptor above those that the child assigns (0 to 3).
OwnedFd AboveHelperSocket(OwnedFd fd) {
  return OwnedFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, kHelperSocket + 1));
}

}  // namespace

StatusOr<Child> Spawn(const std::string& program, const std::vector<std::string>& arguments,
                      const std::optional<std::string>& input) {
  ASSIGN_OR_RETURN(Pair socket, SocketPair());
  ASSIGN_OR_RETURN(Pair output, Pipe());
  ASSIGN_OR_RETURN(Pair report, Pipe());
  ASSIGN_OR_RETURN(OwnedFd standard_input, InputOf(input));
  const OwnedFd child_input = AboveHelperSocket(std::move(standard_input));
  const OwnedFd child_socket = AboveHelperSocket(std::move(socket.theirs));
  const OwnedFd child_output = AboveHelperSocket(std::move(output.theirs));
  OwnedFd child_report = AboveHelperSocket(std::move(report.theirs));
  if (child_input.get() < 0 || child_socket.get() < 0 || child_output.get() < 0 ||
      child_report.get() < 0) {
    return Error(StatusCode::kUnavailable, "no descriptors for ", program, ": ",
                 std::strerror(errno));
  }
  std::vector<char*> argv{const_cast<char*>(program.c_str())};  // exec does not write to them
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  const ExecPlan plan{program.c_str(),    argv.data(),        getpid(),          child_input.get(),
                      child_output.get(), child_socket.get(), child_report.get()};
  const pid_t pid = ForkAndExec(plan);
  int error = pid < 0 ? errno : 0;
  child_report = OwnedFd();  // else the pipe would not end with the child's
  if (pid > 0) error = ErrorFrom(report.ours.get());
  OwnedFd pidfd(pid > 0 && error == 0 ? pidfd_open(pid, 0) : -1);
  if (pid > 0 && error == 0 && pidfd.get() < 0) {
    error = errno;
    kill(-pid, SIGKILL);
  }
  if (error != 0) {
    if (pid > 0) waitpid(pid, nullptr, 0);
    return Error(StatusCode::kUnavailable, "cannot start ", program, ": ", std::strerror(error));
  }
  return Child{pid, pidfd.Take(), socket.ours.Take(), output.ours.Take()};
}

}  // namespace kiln
