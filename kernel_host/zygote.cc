#include "kernel_host/zygote.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernel_host/descriptors.h"
#include "kernel_host/runner.h"

namespace kiln {
namespace {

// pid 0, with a channel: fork a runner; answered with its pid, or -errno. Else: kill that one;
// answered with its wait status.
struct Order {
  std::int32_t pid = 0;
};
struct Answer {
  std::int32_t value = 0;
};

int KillAndWait(int pid) {
  kill(-pid, SIGKILL);
  kill(pid, SIGKILL);  // it may not have a group of its own yet
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

[[noreturn]] void ServeForks(int socket, int supervisor, IsaMask machine) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != supervisor) _exit(1);
  // Neither the socket to kiln-server nor anything else is for runners.
  const auto own = static_cast<unsigned>(socket);
  if (own > 3) syscall(SYS_close_range, 3u, own - 1, 0u);
  syscall(SYS_close_range, own + 1, ~0u, 0u);
  const int zygote = getpid();
  Order order;
  std::vector<int> channels;
  while (ReceiveWithDescriptors(socket, order, channels)) {
    Answer answer;
    if (order.pid > 0) {
      answer.value = KillAndWait(order.pid);
    } else if (channels.size() == 1) {
      const int pid = fork();
      if (pid == 0) RunnerMain({.machine = machine, .parent = zygote, .channel = channels[0]});
      answer.value = pid > 0 ? pid : -errno;
    } else {
      _exit(1);
    }
    for (const int channel : std::exchange(channels, {})) close(channel);
    if (!SendWithDescriptors(socket, answer, {})) break;
  }
  _exit(0);
}

}  // namespace

std::unique_ptr<Zygote> Zygote::Start(IsaMask machine) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return nullptr;
  const int supervisor = getpid();
  const int pid = fork();
  if (pid == 0) {
    close(ends[0]);
    ServeForks(ends[1], supervisor, machine);
  }
  close(ends[1]);
  if (pid > 0) return std::unique_ptr<Zygote>(new Zygote(pid, ends[0]));
  close(ends[0]);
  return nullptr;
}

Zygote::~Zygote() {
  if (next_channel_ >= 0) close(next_channel_);
  close(socket_);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Zygote::Prepare() {
  if (next_channel_ >= 0) return;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  next_channel_ = ends[0];
  SendWithDescriptors(socket_, Order{}, {ends[1]});
  close(ends[1]);
}

Zygote::Runner Zygote::Take() {
  Prepare();
  if (next_channel_ < 0) return {};
  AwaitNext();
  const std::int32_t value = *std::exchange(next_, std::nullopt);
  const Runner runner{value, std::exchange(next_channel_, -1)};
  if (runner.pid > 0) return runner;
  close(runner.channel);
  errno = -value;
  return {};
}

int Zygote::Reap(int pid) {
  AwaitNext();  // the answers come in the order of the orders
  SendWithDescriptors(socket_, Order{pid}, {});
  return AwaitAnswer().value_or(SIGKILL);
}

void Zygote::AwaitNext() {
  if (next_channel_ >= 0 && !next_) next_ = AwaitAnswer().value_or(-ECHILD);
}

std::optional<std::int32_t> Zygote::AwaitAnswer() {
  Answer answer;
  std::vector<int> none;
  if (!ReceiveWithDescriptors(socket_, answer, none)) return std::nullopt;
  return answer.value;
}

}  // namespace kiln
