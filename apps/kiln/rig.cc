#include "apps/kiln/rig.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <future>
#include <optional>
#include <utility>

#include "apps/kiln/emulation.h"
#include "apps/kiln/terminal_picture.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/duration.h"
#include "base/standard_streams.h"
#include "estimate/estimator.h"
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
  // runs take turns instead cost 1 to 12 % of the trials per second and made samples no steadier.
  if (split.compile.empty()) split.compile = all;
  return split;
}

// How much a probe does per nanosecond at best, and the trial that showed it.
struct Rate {
  double per_ns = 0;
  Trial trial;
};

template <typename Amount>
StatusOr<Rate> BestRate(Rig& rig, const Task& task, const Amount& amount) {
  Rate best;
  std::string why = "no config";
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t i = 0; i < task.space().size(); ++i) {
      if (rig.interrupt().requested()) return Error(StatusCode::kCancelled, "interrupted");
      MeasurePlan plan;
      plan.threads = task.threads();
      const Config config = task.space().At(i);
      ASSIGN_OR_RETURN(
          Trial trial,
          rig.Measure({.task = task, .config = config, .cases = {{.check = false}}, .plan = plan}));
      if (const auto* failure = std::get_if<Failure>(&trial.outcome)) why = failure->message;
      const std::optional<double> ns = RankTime(trial);
      if (!ns) continue;
      const double per_ns = amount(task, config) / *ns;
      if (per_ns > best.per_ns) best = {per_ns, std::move(trial)};
    }
  }
  if (best.per_ns > 0) return best;
  return Error(StatusCode::kInternal, task.kernel_template().name(), " on ", task.target().name,
               " cannot be measured: ", why);
}

// A level of memory and how much each thread reads to measure it: half of an own cache; of a shared
// one, which other programs use too, little more than passes the own ones; of the memory behind all
// caches several times what they hold.
struct LevelToRead {
  std::string_view name;
  double capacity_bytes = 0;  // of all threads
  std::int64_t bytes_per_thread = 0;
};

std::vector<LevelToRead> LevelsToRead(const Target& target, std::int32_t threads) {
  constexpr std::int64_t kLeastShared = 1 << 20, kLeastMemory = 64 << 20, kMostMemory = 256 << 20;
  std::vector<LevelToRead> levels;
  levels.push_back({"L1", double(target.l1_bytes) * threads, target.l1_bytes / 2});
  if (target.l2_bytes > 0) {
    levels.push_back({"L2", double(target.l2_bytes) * threads, target.l2_bytes / 2});
  }
  if (target.l3_bytes > 0) {
    levels.push_back({"L3", double(target.l3_bytes),
                      std::clamp(target.l3_bytes / 2 / threads, 2 * target.l2_bytes,
                                 std::max(4 * target.l2_bytes, kLeastShared))});
  }
  const std::int64_t memory = std::clamp(4 * target.l3_bytes, kLeastMemory, kMostMemory);
  levels.push_back({"memory", 0, memory / threads});
  return levels;
}

}  // namespace

Rig::Rig()
    : reactor_(NewReactor()),
      interrupt_(std::make_unique<Interrupt>(*reactor_)),
      expected_(NewExpectedOutputs()) {}

Status Rig::UseToolchain(const std::vector<std::int32_t>& cores, const RigOptions& options) {
  workers_ = std::max<std::int32_t>(1, static_cast<std::int32_t>(cores.size()));
  ASSIGN_OR_RETURN(builder_, NewToolchain(*reactor_, {.workers = workers_,
                                                      .cores = cores,
                                                      .on_lookup = options.on_lookup,
                                                      .on_queued = options.on_queued}));
  if (options.around_builder) builder_ = options.around_builder(std::move(builder_));
  return absl::OkStatus();
}

Rig::~Rig() { interrupt_->OnRequest(nullptr); }

Status Rig::UseDevices(StatusOr<std::unique_ptr<DevicePool>> devices, const RigOptions& options) {
  ASSIGN_OR_RETURN(devices_, std::move(devices));
  if (options.around_devices) devices_ = options.around_devices(std::move(devices_));
  interrupt_->OnRequest([this] { devices_->StopWaiting(); });
  return absl::OkStatus();
}

void Rig::UseMeasurer(std::int32_t devices) {
  measurer_ = NewPipelineMeasurer(*builder_, *devices_, SystemClock(),
                                  {.build_threads = workers_,
                                   .devices = devices,
                                   .acquire_timeout = wait_,
                                   .jitter_seed = Digest(RandomUuid())});
}

Status Rig::UseLocalDevice(const Target& target, const std::string& name,
                           const std::vector<std::int32_t>& cores, const RigOptions& options) {
  LocalDeviceOptions device{.target = name, .cores = cores, .client = options.client};
  ASSIGN_OR_RETURN(const std::optional<Emulator> emulator, EmulatorFor(target));
  if (emulator) {
    device.emulator = emulator->program;
    device.emulated_cpu = emulator->cpu;
    kind_ = TimeKind::kEmulated;
  }
  return UseDevices(StartLocalDevice(*reactor_, device), options);
}

Status Rig::UseTracker(const Environment& env, const Target& target, const RigOptions& options) {
  ASSIGN_OR_RETURN(const TrackerEndpoint tracker, TrackerOf(env));
  ASSIGN_OR_RETURN(kind_, KindOfTimes(tracker, target));
  if (!env.wait.empty()) {
    ASSIGN_OR_RETURN(wait_, ParseDuration(env.wait));
  }
  WaitObserver on_wait = options.on_wait;
  if (!on_wait) on_wait = [](const std::string& what) { SayToPerson("kiln: " + what); };
  return UseDevices(ConnectTracker(*reactor_, tracker, options.client, std::move(on_wait)),
                    options);
}

StatusOr<std::unique_ptr<Rig>> Rig::Create(const Environment& env, const std::string& target,
                                           std::int32_t threads, const RigOptions& options) {
  ASSIGN_OR_RETURN(const Target described, TargetOption(target));
  std::unique_ptr<Rig> rig(new Rig);
  const bool local = env.tracker.empty();
  const CoreSplit cores = SplitCores(threads);
  RETURN_IF_ERROR(rig->UseToolchain(local ? cores.compile : AllowedCores(), options));
  RETURN_IF_ERROR(local ? rig->UseLocalDevice(described, target, cores.measure, options)
                        : rig->UseTracker(env, described, options));
  if (rig->kind_ == TimeKind::kEmulated) {
    WriteError(fmt::format(
        "{} is emulated: results are exact, but times are those of the emulator; they are "
        "marked as emulated and never count beside measured ones\n",
        described.name));
  }
  rig->UseMeasurer(local ? 1 : 8);
  return rig;
}

StatusOr<std::unique_ptr<Rig>> Rig::CreateEstimating(const Target& target) {
  std::unique_ptr<Rig> rig(new Rig);
  rig->kind_ = TimeKind::kEstimated;
  RETURN_IF_ERROR(rig->UseToolchain(AllowedCores(), {}));
  ASSIGN_OR_RETURN(rig->devices_,
                   NewEstimator(*rig->reactor_, {.target = target, .devices = rig->workers_}));
  rig->UseMeasurer(rig->workers_);
  return rig;
}

std::vector<StatusOr<Trial>> Rig::MeasureAll(std::vector<MeasureRequest> requests) {
  std::vector<std::promise<StatusOr<Trial>>> promises(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].kind = kind_;
    measurer_->Submit(std::move(requests[i]), [&promises, i](StatusOr<Trial> trial) {
      promises[i].set_value(std::move(trial));
    });
  }
  std::vector<StatusOr<Trial>> trials;
  trials.reserve(promises.size());
  for (auto& promise : promises) trials.push_back(promise.get_future().get());
  return trials;
}

StatusOr<Trial> Rig::Measure(MeasureRequest request) {
  std::vector<MeasureRequest> one;
  one.push_back(std::move(request));
  return std::move(MeasureAll(std::move(one))[0]);
}

StatusOr<MeasuredDots> MeasureDots(Rig& rig, const Target& target, std::int32_t threads) {
  MeasuredDots dots;
  dots.peak.target = target.name;
  dots.peak.threads = threads;
  const std::vector<const VectorIsa*>& methods = RichestSet(target.isa).methods;
  ASSIGN_OR_RETURN(const std::vector<Task> probes, PeakProbeTasks(target, threads));
  for (std::size_t i = 0; i < methods.size(); ++i) {
    ASSIGN_OR_RETURN(const Rate rate, BestRate(rig, probes[i], PeakProbeDots));
    dots.dots_per_ns.push_back(rate.per_ns);
    const double gops = 2 * rate.per_ns * methods[i]->lanes * methods[i]->group;
    if (gops <= dots.peak.gops) continue;
    dots.instruction = methods[i]->dot_instruction;
    dots.peak.gops = gops;
    dots.peak.device = rate.trial.device;
    dots.peak.measured_at_ms = rate.trial.measured_at_ms;
  }
  return dots;
}

StatusOr<MachineLimits> MeasureLimits(Rig& rig, const Target& target, const MeasuredDots& dots) {
  const std::int32_t threads = dots.peak.threads;
  MachineLimits limits;
  limits.dots_per_ns = dots.dots_per_ns;
  ASSIGN_OR_RETURN(const Task vectors, VectorProbeTask(target, threads));
  ASSIGN_OR_RETURN(const Rate rate, BestRate(rig, vectors, VectorProbeInstructions));
  limits.vectors_per_ns = std::max(rate.per_ns, *std::ranges::max_element(limits.dots_per_ns));
  for (const LevelToRead& level : LevelsToRead(target, threads)) {
    ASSIGN_OR_RETURN(const Task read, ReadProbeTask(target, threads, level.bytes_per_thread));
    ASSIGN_OR_RETURN(const Rate bytes, BestRate(rig, read, [](const Task& task, const Config&) {
                       return ReadProbeBytes(task);
                     }));
    limits.levels.push_back({level.name, level.capacity_bytes, bytes.per_ns});
  }
  return limits;
}

}  // namespace kiln
