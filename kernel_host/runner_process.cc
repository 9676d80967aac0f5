#include "kernel_host/runner_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace kiln {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

RunnerProcess::RunnerProcess(RunnerTask task, int server, steady_clock::time_point deadline)
    : report_(task.report), server_(server), deadline_(deadline) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  task.supervisor = getpid();
  task.channel = ends[1];
  pid_ = fork();
  if (pid_ == 0) RunnerMain(task);
  close(ends[1]);
  channel_ = ends[0];
  if (pid_ > 0) setpgid(pid_, pid_);  // it does so itself as well: whoever is first
}

RunnerProcess::~RunnerProcess() {
  Kill();
  if (channel_ >= 0) close(channel_);
}

void RunnerProcess::Stop() {
  if (pid_ > 0) kill(-pid_, SIGKILL);
}

void RunnerProcess::Kill() {
  if (pid_ <= 0) return;
  Stop();
  while (waitpid(pid_, &wait_status_, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

std::optional<Failure> RunnerProcess::Do(const RunnerStep& step) {
  if (pid_ <= 0) {
    return Failure{Stage::kDevice, FailureKind::kDeviceLost,
                   std::string("cannot start a runner: ") + std::strerror(errno)};
  }
  // If it cannot be sent, the runner has ended: its last answer may still be there.
  send(channel_, &step, sizeof step, MSG_NOSIGNAL);
  switch (Wait()) {
    case Event::kDeadline:
      Kill();
      return Failure{stage(), FailureKind::kTimeout, "did not end"};
    case Event::kServerGone:
      return Failure{Stage::kDevice, FailureKind::kDeviceLost, "kiln-server has gone"};
    case Event::kAnswer:
      break;
  }
  RunnerAnswer answer{};
  const ssize_t size = recv(channel_, &answer, sizeof answer, MSG_DONTWAIT);
  if (size != sizeof answer) return HowItEnded();
  if (answer == RunnerAnswer::kFailed) return Reported();
  return std::nullopt;
}

RunnerProcess::Event RunnerProcess::Wait() const {
  pollfd sockets[] = {{channel_, POLLIN, 0}, {server_, POLLRDHUP, 0}};
  for (;;) {
    const nanoseconds left = deadline_ - steady_clock::now();
    if (left.count() <= 0) return Event::kDeadline;
    const timespec timeout = {left.count() / 1'000'000'000, left.count() % 1'000'000'000};
    const int ready = ppoll(sockets, 2, &timeout, nullptr);
    if (ready <= 0) continue;
    if (sockets[0].revents != 0) return Event::kAnswer;
    if (sockets[1].revents != 0) return Event::kServerGone;
  }
}

// The channel has closed: all threads have left, or one closed it and goes on (possible only
// without a system call filter), and then it is killed here.
Failure RunnerProcess::HowItEnded() {
  Kill();
  Failure failure{stage(), FailureKind::kRuntimeError, {}};
  if (report_.fault.complete.load(std::memory_order_acquire)) {
    failure.message = Describe(report_.fault);
  } else if (WIFSIGNALED(wait_status_)) {
    failure.message = "killed by " + SignalName(WTERMSIG(wait_status_));
  } else {
    failure.message =
        "the kernel ended the process with status " + std::to_string(WEXITSTATUS(wait_status_));
  }
  return failure;
}

Failure RunnerProcess::Reported() const {
  if (!report_.failed || report_.failure_kind > FailureKind::kHostKilled) {
    return {stage(), FailureKind::kRuntimeError, "the kernel wrote over the runner's memory"};
  }
  const auto& text = report_.failure;
  return {stage(), report_.failure_kind,
          std::string(text.data(), strnlen(text.data(), text.size()))};
}

Stage RunnerProcess::stage() const {
  const Stage stage = report_.stage.load();
  return stage <= Stage::kDevice ? stage : Stage::kRun;
}

}  // namespace kiln
