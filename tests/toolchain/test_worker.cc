// A compile worker for worker_pool_test: the source of a job is a command.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/frame.h"
#include "toolchain/compile_job.h"

namespace {

kiln::CompileReply Obey(const kiln::CompileJob& job) {
  kiln::CompileReply reply;
  reply.compiler = "test";
  reply.outcome = kiln::CompileReply::Outcome::kCompiled;
  if (job.c == "crash") {
    signal(SIGSEGV, SIG_DFL);  // sanitizers have a handler that exits
    raise(SIGSEGV);
  }
  // The symbol is the path of a file that the first to try it makes.
  if (job.c == "crash once" && open(job.symbol.c_str(), O_CREAT | O_EXCL, 0600) >= 0) {
    raise(SIGKILL);
  }
  if (job.c == "hang") {
    for (;;) pause();
  }
  if (job.c == "pid") reply.output = std::to_string(getpid());
  if (job.c == "reject") reply.outcome = kiln::CompileReply::Outcome::kRejected;
  if (job.c == "bad job") reply.outcome = kiln::CompileReply::Outcome::kBadJob;
  if (reply.outcome != kiln::CompileReply::Outcome::kCompiled) reply.message = "because";
  if (job.c == "bad job") reply.message += "\nnote: and what there is instead, at length";
  return reply;
}

}  // namespace

int main() {
  std::string request;
  while (kiln::ReadFrame(kiln::kHelperSocket, request)) {
    kiln::CompileJob job;
    if (!request.empty() && !kiln::Deserialize(request, job)) return 1;
    if (!kiln::WriteFrame(kiln::kHelperSocket, kiln::Serialize(Obey(job)))) return 1;
  }
}
