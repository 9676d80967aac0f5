#include "kernel_host/runner_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/processor_time.h"

namespace kiln {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

namespace {

// Who is stopped cannot tell, but that a short wait took long. Few steps of a trial last for one wait,
// so that nothing but a slow kernel is disturbed by its end.
constexpr nanoseconds kWait = std::chrono::milliseconds(200);
// A busy machine lets nobody wait for so long.
constexpr nanoseconds kStopped = std::chrono::milliseconds(200);

}  // namespace

RunnerProcess::RunnerProcess(Zygote& zygote, const RunnerTask& task, const RunnerReport& report,
                             int server, steady_clock::time_point deadline)
    : zygote_(zygote),
      report_(report),
      server_(server),
      deadline_(deadline),
      has_one_thread_(task.request.plan.threads == 1) {
  const Zygote::Runner runner = zygote.Take();
  pid_ = runner.pid;
  channel_ = runner.channel;
  if (pid_ > 0) SendTask(channel_, task);  // one that has gone is seen to have gone
}

RunnerProcess::~RunnerProcess() {
  Kill();
  if (channel_ >= 0) close(channel_);
}

void RunnerProcess::Stop() {
  if (pid_ > 0) kill(-pid_, SIGKILL);
}

void RunnerProcess::Kill() {
  if (pid_ > 0) wait_status_ = zygote_.Reap(pid_);
  pid_ = -1;
}

std::optional<Failure> RunnerProcess::AwaitReady() {
  if (pid_ <= 0) return BadStart(std::string("cannot start a runner: ") + std::strerror(errno));
  return AwaitAnswer();
}

std::optional<Failure> RunnerProcess::Do(const RunnerStep& step, StepTime* time) {
  if (step.kind != RunnerStep::Kind::kNothing && step.kind != RunnerStep::Kind::kFetch) {
    called_ = true;
  }
  if (!time) return Ask(step);
  const auto begin = steady_clock::now();
  const nanoseconds computed = has_one_thread_ ? ProcessorTime(pid_) : nanoseconds(0);
  if (auto failure = Ask(step)) return failure;
  const nanoseconds wall = steady_clock::now() - begin;
  const nanoseconds processor = has_one_thread_ ? ProcessorTime(pid_) - computed : wall;
  *time = {static_cast<double>(wall.count()), static_cast<double>(processor.count())};
  return std::nullopt;
}

std::optional<Failure> RunnerProcess::Ask(const RunnerStep& step) {
  // If it cannot be sent, the runner has ended: its last answer may still be there.
  send(channel_, &step, sizeof step, MSG_NOSIGNAL);
  return AwaitAnswer();
}

std::optional<Failure> RunnerProcess::AwaitAnswer() {
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

RunnerProcess::Event RunnerProcess::Wait() {
  pollfd sockets[] = {{channel_, POLLIN, 0}, {server_, POLLRDHUP, 0}};
  for (;;) {
    // Also what lies between two waits: there the supervisor computes for some milliseconds.
    const steady_clock::time_point now = steady_clock::now();
    const nanoseconds beyond = now - std::exchange(seen_, now) - kWait;
    if (beyond > kStopped) deadline_ += beyond;
    const nanoseconds wait = std::min<nanoseconds>(deadline_ - now, kWait);
    if (wait.count() <= 0) return Event::kDeadline;
    const timespec timeout = {0, wait.count()};
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
  const bool was_signalled = WIFSIGNALED(wait_status_);
  if (!called_ && report_.stage.load() == Stage::kLower) {
    return BadStart(was_signalled ? "a runner was killed by " + SignalName(WTERMSIG(wait_status_))
                                  : "a runner ended before it had read its task");
  }
  if (report_.fault.complete.load(std::memory_order_acquire)) {
    failure.message = Describe(report_.fault);
  } else if (was_signalled) {
    failure.message = "killed by " + SignalName(WTERMSIG(wait_status_));
  } else {
    failure.message =
        "the kernel ended the process with status " + std::to_string(WEXITSTATUS(wait_status_));
  }
  return failure;
}

Failure RunnerProcess::Reported() const {
  const FailureKind kind = report_.failure_kind;
  // What pack may lead to. Before the first call nobody but the runner itself has written this.
  const bool is_possible =
      !called_ || kind == FailureKind::kWrongClass || kind == FailureKind::kRuntimeError;
  if (!report_.failed || !is_possible || kind > FailureKind::kDeviceLost) {
    return {stage(), FailureKind::kRuntimeError, "the kernel wrote over the runner's memory"};
  }
  const auto& text = report_.failure;
  return {kind == FailureKind::kDeviceLost ? Stage::kDevice : stage(), kind,
          std::string(text.data(), strnlen(text.data(), text.size()))};
}

Failure RunnerProcess::BadStart(const std::string& why) const {
  return {Stage::kDevice, FailureKind::kDeviceLost, why};
}

// One of those that a kernel goes through, whatever is written there.
Stage RunnerProcess::stage() const {
  const Stage stage = report_.stage.load();
  if (stage == Stage::kLoad || stage == Stage::kPack || stage == Stage::kRun) return stage;
  return called_ ? Stage::kRun : Stage::kLoad;
}

}  // namespace kiln
