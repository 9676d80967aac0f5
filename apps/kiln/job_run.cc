#include "apps/kiln/job_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "apps/kiln/job_trouble.h"
#include "apps/kiln/tune_report.h"
#include "base/paths.h"
#include "db/timed_store.h"
#include "measure/timed_builder.h"
#include "measure/timed_device_pool.h"

namespace kiln {
namespace {

constexpr double kMostSeconds = 1e9;  // some 30 years, which a clock can still add

// A SIGTERM that comes before the rig listens for it waits until then: it is a wish to stop, and not
// to die without a word.
class HeldTermination {
 public:
  HeldTermination() { Mask(SIG_BLOCK); }
  void Release() { Mask(SIG_UNBLOCK); }

 private:
  static void Mask(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(how, &set, nullptr);
  }
};

// This ends the waiting for devices when the time is over, which may be for ever otherwise. The rig
// must outlive it.
class WaitLimit {
 public:
  WaitLimit(Rig& rig, std::optional<SteadyTime> deadline) : state_(std::make_shared<State>()) {
    state_->rig = &rig;
    if (!deadline) return;
    const Nanoseconds left = std::max(Nanoseconds(0), *deadline - SystemClock().Now());
    rig.reactor().After(left, [state = state_] {
      const std::lock_guard lock(state->mutex);
      if (state->rig != nullptr) state->rig->StopWaiting();
    });
  }
  WaitLimit(const WaitLimit&) = delete;
  ~WaitLimit() {
    const std::lock_guard lock(state_->mutex);
    state_->rig = nullptr;
  }

 private:
  struct State {
    std::mutex mutex;
    Rig* rig = nullptr;
  };
  const std::shared_ptr<State> state_;
};

Environment EnvironmentFor(const Environment& env, const TunerOrder& order) {
  return {env.registry, order.command, order.database, order.tracker, order.tls, {}, {}};
}

std::optional<SteadyTime> DeadlineOf(const TunerOrder& order) {
  if (!order.seconds) return std::nullopt;
  const std::chrono::duration<double> time(std::clamp(*order.seconds, 0.0, kMostSeconds));
  return SystemClock().Now() + std::chrono::duration_cast<Nanoseconds>(time);
}

Status CheckPolicy(const std::string& policy) {
  const auto known = SearchPolicyNames();
  if (std::ranges::find(known, policy) != known.end()) return {};
  std::string names;
  for (const std::string_view name : known)
    names += (names.empty() ? "" : ", ") + std::string(name);
  return Error(StatusCode::kInvalidArgument, "no search policy ", policy, ": there are ", names,
               "; submit the job again with one of them");
}

std::string Trials(std::int64_t count) {
  return fmt::format("{} trial{}", count, count == 1 ? "" : "s");
}

// An error that neither the store nor the builder gave.
bool IsOfDevices(StatusCode code) {
  return code != StatusCode::kInternal && code != StatusCode::kInvalidArgument &&
         code != StatusCode::kUnimplemented && code != StatusCode::kUnknown;
}

}  // namespace

JobRun::JobRun(const Environment& env, const TunerOrder& order, TunerVoice& voice)
    : env_(EnvironmentFor(env, order)),
      order_(order),
      voice_(voice),
      deadline_(DeadlineOf(order)) {}

TunerEnded JobRun::Run() {
  const StatusOr<TunerEnded> ended = Tune();
  return ended.ok() ? *ended : Explain(ended.status());
}

StatusOr<TunerEnded> JobRun::Tune() {
  HeldTermination termination;
  const JobSpec& spec = order_.spec;
  RETURN_IF_ERROR(CheckPolicy(spec.policy));
  ASSIGN_OR_RETURN(std::vector<WeightedNetwork> networks, ReadNetworks(spec));
  ASSIGN_OR_RETURN(const Target target, AsTrouble(TunerTrouble::kTarget, FindTarget(spec.target)));
  ASSIGN_OR_RETURN(tasks_, MakeJobTasks(env_.registry, std::move(networks), target, spec.threads));
  ASSIGN_OR_RETURN(store_, OpenJobStore());
  const TuningPlan plan = PlanFor(target);
  if (spec.stale_only) {
    RETURN_IF_ERROR(Marked(KeepStale(env_, *store_, plan.cache, tasks_)));
    if (tasks_.tasks.empty()) {
      return TunerEnded{.text = "nothing is stale", .networks = TimesOf(tasks_, {})};
    }
  }
  ASSIGN_OR_RETURN(rig_, MakeRig());
  termination.Release();
  return TuneWith(plan);
}

StatusOr<TunerEnded> JobRun::TuneWith(TuningPlan plan) {
  plan.tasks = tasks_.tasks;
  const WaitLimit limit(*rig_, deadline_);
  const StatusOr<double> peak = PeakFor(plan, *rig_, *store_);
  if (!peak.ok()) return Marked(peak.status());
  TunerBegun begun{.tasks = static_cast<std::int64_t>(plan.tasks.size()),
                   .kind = Name(rig_->kind())};
  if (const std::int64_t expected = TrialsExpected(plan); expected > 0) begun.expected = expected;
  if (*peak > 0) begun.peak_gops = *peak;
  JobObserver observer(voice_, plan.tasks, std::move(begun));
  const StatusOr<std::vector<TaskResult>> results =
      RunTuning(plan, *rig_, *store_,
                {.event = [&](const TuneEvent& event) { observer.Observe(event); },
                 .before_round = [&] { observer.BeforeRound(); }});
  made_ = observer.made();
  if (!results.ok()) return Marked(results.status());
  return Conclude(plan, observer, *results);
}

StatusOr<std::unique_ptr<TuningStore>> JobRun::OpenJobStore() {
  ASSIGN_OR_RETURN(
      std::unique_ptr<TuningStore> store,
      AsTrouble(TunerTrouble::kStore, OpenStore(env_, OpenMode::kReadWrite,
                                                NewSession(order_.command, order_.spec.seed))));
  const StoreObserver observer{
      .appended = [this](Nanoseconds time) { voice_.Took("append", time); },
      .failed =
          [this](const Status& error) {
            const std::lock_guard lock(mutex_);
            store_error_ = error;
          }};
  return NewTimedStore(std::move(store), SystemClock(), observer);
}

StatusOr<std::unique_ptr<Rig>> JobRun::MakeRig() {
  // Of an error of the rig, only this is not about devices.
  RETURN_IF_ERROR(FindHelper("kiln-compile-worker").status());
  RigOptions options;
  if (!order_.client.empty()) options.client.name = order_.client;
  options.client.priority = order_.priority;
  options.on_wait = [this](const std::string& what) { voice_.Waits(what); };
  options.on_lookup = [this](CacheLookup lookup) { voice_.Looked(lookup); };
  options.on_queued = [this](Nanoseconds time) { voice_.Took("compile_queue", time); };
  options.around_builder = [this](std::unique_ptr<Builder> builder) {
    return NewTimedBuilder(std::move(builder), SystemClock(),
                           [this](Nanoseconds time, const Status& status) {
                             voice_.Took("compile", time);
                             if (status.ok()) return;
                             const std::lock_guard lock(mutex_);
                             builder_error_ = status;
                           });
  };
  options.around_devices = [this](std::unique_ptr<DevicePool> devices) {
    return NewTimedDevicePool(std::move(devices), SystemClock(),
                              {.leased =
                                   [this](Nanoseconds time) {
                                     voice_.Waits("");
                                     voice_.Took("lease_wait", time);
                                   },
                               .ran = [this](Nanoseconds time) { voice_.Took("run", time); }});
  };
  return AsTrouble(TunerTrouble::kDevice,
                   Rig::Create(env_, order_.spec.target, order_.spec.threads, options));
}

TuningPlan JobRun::PlanFor(const Target& target) const {
  const JobSpec& spec = order_.spec;
  return {.target = target,
          .cache = spec.cache == "cold" ? CacheState::kCold : CacheState::kHot,
          .threads = spec.threads,
          .policy = spec.policy,
          .seed = spec.seed,
          .budget = {.trials = spec.trials,
                     .trials_per_task = spec.trials_per_task,
                     .early_stop = spec.early_stop,
                     .deadline = deadline_}};
}

TunerEnded JobRun::Conclude(const TuningPlan& plan, const JobObserver& observer,
                            const std::vector<TaskResult>& results) const {
  TunerEnded ended{.networks = TimesOf(tasks_, results), .made = made_};
  std::int64_t trials = 0;
  std::size_t with_best = 0;
  for (const TaskResult& result : results) {
    trials += result.trials;
    with_best += result.best.has_value();
    ended.tasks_short += result.shortfall != Shortfall::kNone;
  }
  const Budget& budget = plan.budget;
  const bool used_up = AllowsNoTrial(budget) || (budget.trials && trials >= *budget.trials) ||
                       observer.all_finished();
  // What is not confirmed yet, the next run confirms.
  const bool unconfirmed = is_late() && observer.confirmed() < with_best;
  const std::string so_far = fmt::format("{} in this run, {} stored", Trials(made_), trials);
  if (is_stopped()) {
    ended.outcome = TunerOutcome::kStopped;
    ended.text = "it was asked to stop after " + so_far;
  } else if (deadline_ && (!used_up || unconfirmed)) {
    ended.outcome = TunerOutcome::kTime;
    ended.text = "the time was up after " + so_far;
  } else {
    ended.text = "nothing is left to do: " + so_far;
    const std::string why_short = WhyShort(results);
    if (!why_short.empty()) ended.text += "; fewer than asked for: " + why_short;
  }
  if (tasks_.unsupported > 0) {
    ended.text += fmt::format("; no template serves {} workload{}", tasks_.unsupported,
                              tasks_.unsupported == 1 ? "" : "s");
  }
  return ended;
}

TunerEnded JobRun::Explain(const Status& why) const {
  TunerEnded ended{.text = Message(why), .networks = TimesOf(tasks_, {}), .made = made_};
  std::ranges::replace(ended.text, '\n', ' ');
  if (is_stopped()) {
    ended.outcome = TunerOutcome::kStopped;
    ended.text = "it was asked to stop after " + Trials(made_) + " in this run";
  } else if (is_late() && why.code() == StatusCode::kCancelled) {
    ended.outcome = TunerOutcome::kTime;
    ended.text = "the time was up after " + Trials(made_) + " in this run, with no device at hand";
  } else {
    ended.outcome = TunerOutcome::kError;
    ended.trouble = TroubleOf(why);
  }
  return ended;
}

Status JobRun::Marked(const Status& error) const {
  if (error.ok()) return error;
  const std::lock_guard lock(mutex_);
  if (Message(error) == Message(store_error_)) return AsTrouble(TunerTrouble::kStore, error);
  if (Message(error) == Message(builder_error_)) return error;
  return IsOfDevices(error.code()) ? AsTrouble(TunerTrouble::kDevice, error) : error;
}

bool JobRun::is_late() const { return deadline_ && SystemClock().Now() >= *deadline_; }

}  // namespace kiln
