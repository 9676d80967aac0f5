// How long a device stands idle between two measurements while further kernels are queued: from the
// moment in which one kernel can run no more to that in which the next one can. The queue, the lock of
// the cores and the host are those of kiln-server.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "apps/command_line/command_line.h"
#include "base/paths.h"
#include "base/reactor.h"
#include "benchmarks/default_kernel.h"
#include "kernels_templates/task.h"
#include "measure/measurer.h"
#include "ops/workload_key.h"
#include "proto/device.pb.h"
#include "rpc_client/run_codec.h"
#include "rpc_server/core_lock.h"
#include "rpc_server/host_process.h"
#include "rpc_server/measure_codec.h"
#include "rpc_server/measure_queue.h"

namespace kiln {
namespace {

constexpr const char* kWorkloads[] = {
    "conv2d/i8/n1h14w14c32/o32/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=gen/double",
    "conv2d/i8/n1h56w56c64/o64/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=gen/double",
};

struct Span {
  std::int64_t began_ns = 0, ended_ns = 0;
};

StatusOr<HostRequest> RequestFor(const Workload& workload, const Artifact& artifact,
                                 const std::vector<std::int32_t>& cores) {
  RunRequest request;
  request.artifact = &artifact;
  request.workload = workload;
  request.cases = NewExpectedOutputs()->CasesFor(workload);
  v1::MeasureRequest message = WriteRequest(request);
  message.set_trial_id("idle-gap");
  ASSIGN_OR_RETURN(HostRequest host_request, ReadRequest(message, cores.size()));
  host_request.cores = cores;
  return host_request;
}

// All are queued before the first has ended.
StatusOr<std::vector<Span>> RunQueued(MeasureQueue& queue, const HostRequest& request,
                                      const Artifact& artifact, int trials) {
  std::latch all_done(trials);
  std::vector<Span> spans;
  std::string failure;
  for (int i = 0; i < trials; ++i) {
    MeasureJob job;
    job.object = artifact.object;
    job.request = request;
    job.wanted = [] { return true; };
    job.done = [&](const HostReply& reply) {  // on the queue's thread, one at a time
      if (const auto* failed = std::get_if<Failure>(&reply.outcome)) failure = failed->message;
      spans.push_back({reply.began_ns, reply.ended_ns});
      all_done.count_down();
    };
    queue.Submit(std::move(job));
  }
  all_done.wait();
  if (!failure.empty()) return Error(StatusCode::kInternal, "the kernel fails: ", failure);
  return spans;
}

void Print(const std::string& workload, const std::vector<Span>& spans) {
  std::vector<double> gaps;
  double busy = 0;
  for (std::size_t i = 1; i < spans.size(); ++i) {
    gaps.push_back(static_cast<double>(spans[i].began_ns - spans[i - 1].ended_ns) / 1e6);
    busy += static_cast<double>(spans[i].ended_ns - spans[i].began_ns) / 1e6;
  }
  std::sort(gaps.begin(), gaps.end());
  fmt::print("{}\n{:9.2f}{:9.2f}{:9.2f}{:12.2f}\n", workload, gaps[gaps.size() / 2],
             gaps[gaps.size() * 99 / 100], gaps.back(), busy / static_cast<double>(gaps.size()));
}

Status Run(int trials) {
  const std::unique_ptr<Reactor> reactor = NewReactor();
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  ASSIGN_OR_RETURN(const Target target, TargetOption("native"));
  ASSIGN_OR_RETURN(std::string program, FindHelper("kiln-host"));
  const std::vector<std::int32_t> cores = {0};
  ASSIGN_OR_RETURN(auto lock, OpenCoreLock(CoreLockDirectory(), cores));
  const auto queue =
      NewMeasureQueue(NewHostProcess(*reactor, std::move(program), {}), std::move(lock));
  fmt::print("{} trials, queued\n{:>9}{:>9}{:>9}{:>12}\n", trials, "gap, ms", "p99", "max",
             "a trial, ms");
  for (const char* key : kWorkloads) {
    ASSIGN_OR_RETURN(const Workload workload, ParseWorkload(key));
    ASSIGN_OR_RETURN(const Task task, Task::Create(registry, {workload, target, 1}));
    ASSIGN_OR_RETURN(const Artifact artifact, BuildDefault(*reactor, task));
    ASSIGN_OR_RETURN(const HostRequest request, RequestFor(workload, artifact, cores));
    RETURN_IF_ERROR(RunQueued(*queue, request, artifact, 10).status());
    ASSIGN_OR_RETURN(const std::vector<Span> spans, RunQueued(*queue, request, artifact, trials));
    Print(key, spans);
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  CLI::App app("Times how long a device stands idle between queued measurements.", "idle_gap");
  std::int32_t trials = 500;
  AddNumber<std::int32_t>(app, "--trials", trials, "of each workload", {2, 1'000'000})
      ->default_str("500");
  if (const std::optional<int> status = ParseCommandLine(app, argc, argv)) return *status;
  const Status status = Run(trials);
  std::fflush(stdout);
  return status.ok() ? 0 : ReportError("idle_gap", status);
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) { return kiln::Main(argc, argv); }
