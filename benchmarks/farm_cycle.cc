// What a lease costs its client on a real device: acquire, send a kernel that the device has not seen,
// verify and time it, give the device back; one after the other. Prints milliseconds, and how much of
// them the client spends in which part.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/command_line/command_line.h"
#include "base/digest.h"
#include "base/reactor.h"
#include "benchmarks/default_kernel.h"
#include "kernels_templates/task.h"
#include "measure/measurer.h"
#include "ops/workload_key.h"
#include "rpc_client/rpc_client.h"

namespace kiln {
namespace {

using Clock = std::chrono::steady_clock;

// Small, so that what is measured is the way there and not the kernel.
constexpr char kWorkload[] =
    "conv2d/i8/n1h14w14c32/o32/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=gen/double";
constexpr std::chrono::seconds kPatience{30};

struct Options {
  std::string tracker, target = "native";
  TlsFiles tls;
  std::int32_t cycles = 200;
};

// The same code in an object that no device has: bytes behind an ELF file's sections mean nothing.
Artifact Copy(const Artifact& artifact, std::int32_t number) {
  Artifact copy = artifact;
  copy.object =
      std::make_shared<const std::string>(*artifact.object + fmt::format("{:016x}", number));
  copy.object_digest = Digest(*copy.object);
  return copy;
}

struct Times {
  std::vector<double> acquire, run, release, all;
};

double MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

Status Cycle(DevicePool& pool, const Target& target, const RunRequest& request, Times& times) {
  const auto begin = Clock::now();
  ASSIGN_OR_RETURN(std::unique_ptr<Lease> lease,
                   pool.Acquire(target, TimeKind::kMeasured, kPatience));
  times.acquire.push_back(MillisecondsSince(begin));
  const auto leased = Clock::now();
  ASSIGN_OR_RETURN(const RunResult result, lease->Run(request));
  if (const auto* failure = std::get_if<Failure>(&result.outcome)) {
    return Error(StatusCode::kInternal, "the kernel fails: ", failure->message);
  }
  times.run.push_back(MillisecondsSince(leased));
  const auto ran = Clock::now();
  lease.reset();
  times.release.push_back(MillisecondsSince(ran));
  times.all.push_back(MillisecondsSince(begin));
  return absl::OkStatus();
}

void Print(const char* name, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  fmt::print("{:10}{:9.2f}{:9.2f}{:9.2f}\n", name, times[times.size() / 2],
             times[times.size() * 99 / 100], times.back());
}

Status Run(const Options& options) {
  const std::unique_ptr<Reactor> reactor = NewReactor();
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  ASSIGN_OR_RETURN(const Workload workload, ParseWorkload(kWorkload));
  ASSIGN_OR_RETURN(const Target target, TargetOption(options.target));
  ASSIGN_OR_RETURN(const Task task, Task::Create(registry, {workload, target, 1}));
  ASSIGN_OR_RETURN(const Artifact artifact, BuildDefault(*reactor, task));
  RunRequest request;
  request.workload = workload;
  request.cases = NewExpectedOutputs()->CasesFor(workload);
  const ClientIdentity client{DefaultClientName()};
  std::unique_ptr<DevicePool> pool;
  if (options.tracker.empty()) {
    ASSIGN_OR_RETURN(
        pool,
        StartLocalDevice(*reactor, {.target = options.target, .cores = {}, .client = client}));
  } else {
    ASSIGN_OR_RETURN(pool, ConnectTracker(*reactor, {options.tracker, options.tls}, client));
  }
  Times times;
  constexpr std::int32_t kWarmUp = 10;
  for (std::int32_t i = 0; i < kWarmUp + options.cycles; ++i) {
    if (i == kWarmUp) times = {};
    const Artifact copy = Copy(artifact, i);
    request.artifact = &copy;
    RETURN_IF_ERROR(Cycle(*pool, target, request, times));
  }
  fmt::print("{} cycles, an object of {:.1f} kB each, {} cases, {} samples of {} us\n",
             options.cycles, static_cast<double>(artifact.object->size()) / 1e3,
             request.cases.size(), request.plan.samples, request.plan.sample_ns / 1000);
  fmt::print("{:10}{:>9}{:>9}{:>9}\n", "ms", "median", "p99", "max");
  Print("acquire", times.acquire);
  Print("run", times.run);
  Print("release", times.release);
  Print("cycle", times.all);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  CLI::App app("Times lease cycles on a real device.", "farm_cycle");
  Options options;
  app.add_option("--tracker", options.tracker,
                 "HOST:PORT; without it this machine over a local socket");
  app.add_option("--target", options.target, "of the device")->capture_default_str();
  AddNumber<std::int32_t>(app, "--cycles", options.cycles, "to time", {1, 1'000'000})
      ->default_str("200");
  AddCredentials(app, options.tls, CredentialUse::kToDial);
  if (const std::optional<int> status = ParseCommandLine(app, argc, argv)) return *status;
  const Status status = Run(options);
  std::fflush(stdout);
  return status.ok() ? 0 : ReportError("farm_cycle", status);
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) { return kiln::Main(argc, argv); }
