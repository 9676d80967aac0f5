// kiln-compile-worker: compiles kernels and says how long compiled ones would take, one frame in,
// one frame out, until its socket closes. Not for people: `kiln` starts it. A crash of the compiler
// ends this process and nothing else.

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "apps/kiln_compile_worker/compile.h"
#include "apps/kiln_compile_worker/estimate.h"
#include "apps/kiln_compile_worker/link.h"
#include "base/frame.h"
#include "base/sanitizer.h"
#include "base/standard_streams.h"

namespace kiln {
namespace {

// Compiling yields to measuring and to people; a runaway compilation ends itself, not the machine.
void LimitThisProcess() {
  setpriority(PRIO_PROCESS, 0, 19);
  constexpr rlimit kNoCore{0, 0};
  setrlimit(RLIMIT_CORE, &kNoCore);
  constexpr rlimit kMemory{rlim_t{4} << 30, rlim_t{4} << 30};
  if (!kHasSanitizer) setrlimit(RLIMIT_AS, &kMemory);
}

// Each argument is the number of a core to run on; none: anywhere.
void UseCores(int count, char** numbers) {
  if (count == 0) return;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  for (int i = 0; i < count; ++i) CPU_SET(std::atoi(numbers[i]) % CPU_SETSIZE, &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) != 0) std::perror("sched_setaffinity");
}

bool IsIdentifier(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

bool IsKnown(const std::string& arch) { return arch == "x86_64" || arch == "aarch64"; }

CompileReply AnswerCompileJob(const std::string& request, Linker& linker) {
  CompileJob job;
  CompileReply reply;
  if (!Deserialize(request, job)) {
    reply.message = "not a compile job of this version";
    return reply;
  }
  if (!IsIdentifier(job.symbol)) {
    reply.message = "not a symbol: '" + job.symbol + "'";
    return reply;
  }
  if (!IsKnown(job.arch)) {
    reply.message = "no code generator for '" + job.arch + "'";
    return reply;
  }
  reply = Compile(job);
  if (reply.outcome == CompileReply::Outcome::kCompiled && job.emit == EmitKind::kObject) {
    linker.Link(job, reply);
  }
  return reply;
}

EstimateReply AnswerEstimateJob(const EstimateJob& job, CycleEstimator& estimator) {
  if (IsKnown(job.arch)) return estimator.Estimate(job);
  EstimateReply reply;
  reply.message = "no scheduling models for '" + job.arch + "'";
  return reply;
}

std::string Answer(const std::string& request, Linker& linker, CycleEstimator& estimator) {
  if (request.empty()) {
    CompileReply greeting;
    greeting.outcome = CompileReply::Outcome::kCompiled;
    greeting.compiler = DescribeCompiler();
    return Serialize(greeting);
  }
  EstimateJob job;
  if (Deserialize(request, job)) return Serialize(AnswerEstimateJob(job, estimator));
  return Serialize(AnswerCompileJob(request, linker));
}

int Serve() {
  Linker linker;
  CycleEstimator estimator;
  InitializeCompiler();
  std::string request;
  while (!linker.spent() && ReadFrame(kHelperSocket, request)) {
    if (!WriteFrame(kHelperSocket, Answer(request, linker, estimator))) return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  kiln::PrepareStandardStreams();
  if (chdir("/") != 0) std::perror("chdir");
  kiln::LimitThisProcess();
  kiln::UseCores(argc - 1, argv + 1);
  const int status = kiln::Serve();
  _exit(status);  // LLVM's destructors take longer than some jobs
}
