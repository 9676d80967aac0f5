#include "apps/kiln/rig.h"

#include <sched.h>

#include <algorithm>
#include <future>
#include <utility>

#include "base/clock.h"
#include "kernels_templates/peak_probe.h"
#include "rpc_client/rpc_client.h"

namespace kiln {
namespace {

std::vector<std::int32_t> AllowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<std::int32_t> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

struct CoreSplit {
  std::vector<std::int32_t> measure, compile;
};

CoreSplit SplitCores(std::int32_t threads) {
  const std::vector<std::int32_t> all = AllowedCores();
  const auto wanted = std::min<std::size_t>(static_cast<std::size_t>(threads), all.size());
  CoreSplit split;
  split.measure.assign(all.end() - static_cast<std::ptrdiff_t>(wanted), all.end());
  split.compile.assign(all.begin(), all.end() - static_cast<std::ptrdiff_t>(wanted));
  // Compile workers then run on the measured cores too, at the lowest priority. Having builds and
  // runs take turns instead cost 4 to 11 % of the trials per second and made samples no steadier.
  if (split.compile.empty()) split.compile = all;
  return split;
}

}  // namespace

StatusOr<std::unique_ptr<Rig>> Rig::Create(const Environment& env, const std::string& target,
                                           std::int32_t threads) {
  std::unique_ptr<Rig> rig(new Rig);
  rig->reactor_ = NewReactor();
  rig->interrupt_ = std::make_unique<Interrupt>(*rig->reactor_);
  const bool local = env.tracker.empty();
  const CoreSplit cores = SplitCores(threads);
  const std::vector<std::int32_t> compile_cores = local ? cores.compile : AllowedCores();
  const auto workers = std::max<std::int32_t>(1, static_cast<std::int32_t>(compile_cores.size()));
  ASSIGN_OR_RETURN(rig->builder_,
                   NewToolchain(*rig->reactor_, {.workers = workers, .cores = compile_cores}));
  const ClientIdentity client{DefaultClientName(), 0};
  if (local) {
    ASSIGN_OR_RETURN(rig->devices_, StartLocalDevice(*rig->reactor_, {.target = target,
                                                                      .cores = cores.measure,
                                                                      .client = client}));
  } else {
    ASSIGN_OR_RETURN(rig->devices_, ConnectTracker(*rig->reactor_, env.tracker, client));
  }
  rig->runner_ = NewRemoteRunner();
  rig->expected_ = NewExpectedOutputs();
  PipelineOptions options;
  options.build_threads = workers;
  options.devices = local ? 1 : 8;
  rig->measurer_ =
      NewPipelineMeasurer(*rig->builder_, *rig->devices_, *rig->runner_, SystemClock(), options);
  return rig;
}

std::vector<StatusOr<Trial>> Rig::MeasureAll(std::vector<MeasureRequest> requests) {
  std::vector<std::promise<StatusOr<Trial>>> promises(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    measurer_->Submit(std::move(requests[i]), [&promises, i](StatusOr<Trial> trial) {
      promises[i].set_value(std::move(trial));
    });
  }
  std::vector<StatusOr<Trial>> trials;
  for (auto& promise : promises) trials.push_back(promise.get_future().get());
  return trials;
}

StatusOr<Trial> Rig::Measure(MeasureRequest request) {
  std::vector<MeasureRequest> one;
  one.push_back(std::move(request));
  return std::move(MeasureAll(std::move(one))[0]);
}

StatusOr<Peak> MeasurePeak(Rig& rig, const Target& target, std::int32_t threads) {
  ASSIGN_OR_RETURN(const Task task, PeakProbeTask(target, threads));
  Peak peak{.target = target.name, .threads = threads};
  std::string why = "no config";
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t i = 0; i < task.space().size(); ++i) {
      MeasurePlan plan;
      plan.threads = threads;
      const Config config = task.space().At(i);
      ASSIGN_OR_RETURN(
          const Trial trial,
          rig.Measure({.task = task, .config = config, .cases = {{.check = false}}, .plan = plan}));
      if (const auto* failure = std::get_if<Failure>(&trial.outcome)) why = failure->message;
      const std::optional<double> ns = RankTime(trial);
      if (!ns) continue;
      const double gops = 2 * PeakProbeMacs(task, config) / *ns;
      if (gops <= peak.gops) continue;
      peak.gops = gops;
      peak.device = trial.device;
      peak.measured_at_ms = trial.measured_at_ms;
    }
  }
  if (peak.gops == 0)
    return Error(StatusCode::kInternal, "the peak of ", target.name, " cannot be measured: ", why);
  return peak;
}

}  // namespace kiln
