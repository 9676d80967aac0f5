#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>

#include "apps/kiln/command.h"
#include "apps/kiln/job_run.h"
#include "apps/kiln/tuner_voice.h"
#include "base/frame.h"

namespace kiln {
namespace {

bool IsStreamSocket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

// Nobody will know what comes of it: it ends as if it were asked to.
void StopMyself() { kill(getpid(), SIGTERM); }

StatusOr<int> RunJob(const Environment& env) {
  if (!IsStreamSocket(kHelperSocket)) {
    return UsageError(
        "run-job is what the daemon starts for each of its jobs, with a socket as "
        "file descriptor 3, and not for the command line: `kiln tune` tunes");
  }
  fcntl(kHelperSocket, F_SETFD, FD_CLOEXEC);
  std::string frame;
  if (!ReadFrame(kHelperSocket, frame)) {
    return Error(StatusCode::kUnavailable, "run-job: the daemon went before it said what to do");
  }
  TunerVoice voice(kHelperSocket, SystemClock(), StopMyself);
  const StatusOr<TunerOrder> order = ParseTunerOrder(frame);
  const TunerEnded ended = order.ok() ? JobRun(env, *order, voice).Run()
                                      : TunerEnded{.outcome = TunerOutcome::kError,
                                                   .trouble = TunerTrouble::kError,
                                                   .text = Message(order.status())};
  voice.End(ended);
  return ended.outcome == TunerOutcome::kError || !voice.is_heard() ? kFailureStatus : 0;
}

}  // namespace

void AddRunJob(CLI::App& app, Environment& env) {
  // Without a group the help does not show it.
  auto* command = app.add_subcommand("run-job", "The tuner of one job of the daemon")->group("");
  command->callback([&env] { env.action = [&env] { return RunJob(env); }; });
}

}  // namespace kiln
