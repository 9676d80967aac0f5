#include "db/trial_rules.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <variant>

namespace kiln {
namespace {

bool IsTime(double ns) { return std::isfinite(ns) && ns > 0; }

// What is wrong with an outcome; empty if nothing is.
struct OutcomeFault {
  std::string operator()(const Timings& timings) const {
    if (timings.samples_ns.empty()) return "it has no samples";
    if (!std::ranges::all_of(timings.samples_ns, IsTime)) return "a sample is not a positive time";
    return timings.calls_per_sample < 1 ? "its samples have no calls" : "";
  }
  std::string operator()(const Censored& censored) const {
    return IsTime(censored.bound_ns) ? "" : "its bound is not a positive time";
  }
  std::string operator()(const Failure& failure) const {
    return failure.kind == FailureKind::kDeviceLost
               ? "its device was lost, which says nothing of the config"
               : "";
  }
};

StatusOr<Config> ConfigToday(const Task& task, const TrialRecord& record) {
  return CurrentConfig(task, record.labels, record.trial.code_digest);
}

bool TookHostsDown(const Trial& trial) {
  const auto* failure = std::get_if<Failure>(&trial.outcome);
  return failure != nullptr && failure->kind == FailureKind::kHostKilled;
}

}  // namespace

Status CheckStorable(const Task& task, const Trial& trial) {
  const auto refuse = [&](const std::string& why) {
    return Error(StatusCode::kInvalidArgument, "a trial of ", task.Key(),
                 " cannot be stored: ", why);
  };
  if (trial.uuid.empty()) return refuse("it has no uuid");
  if (!task.space().Contains(trial.config)) return refuse("its config is not in the space");
  const std::string fault = FaultOf(trial.outcome);
  return fault.empty() ? Status() : refuse(fault);
}

std::string FaultOf(const Outcome& outcome) { return std::visit(OutcomeFault(), outcome); }

Status CheckStorable(const Peak& peak) {
  if (std::isfinite(peak.gops) && peak.gops > 0) return {};
  return Error(StatusCode::kInvalidArgument, "the peak of ", peak.target, " cannot be ", peak.gops,
               " GOP/s");
}

TrialRecord RecordOf(const Task& task, CacheState cache, const Trial& trial) {
  TrialRecord record;
  record.workload = Key(task.workload());
  record.target = task.target().name;
  record.kernel_template = task.kernel_template().name();
  record.threads = task.threads();
  record.cache = cache;
  record.labels = task.space().Labels(trial.config);
  record.config_id = ConfigId(record.labels);
  record.trial = trial;
  record.trial.config = {};
  return record;
}

std::optional<Trial> HintOf(const Task& task, CacheState cache, TrialRecord record) {
  const bool fits = record.workload == Key(task.workload()) &&
                    record.target == task.target().name && record.threads == task.threads() &&
                    record.cache == cache &&
                    record.kernel_template == task.kernel_template().name();
  if (!fits) return std::nullopt;
  StatusOr<Config> config = task.space().FromLabels(record.labels);
  if (!config.ok()) return std::nullopt;
  record.trial.config = *std::move(config);
  return std::move(record.trial);
}

StatusOr<std::set<Config>> HostKillers(const TuningStore& store, const Task& task) {
  ASSIGN_OR_RETURN(const std::vector<TrialRecord> records,
                   store.Records({.workload = Key(task.workload()), .target = task.target().name}));
  std::set<Config> killers;
  for (const TrialRecord& record : records) {
    if (record.kernel_template != task.kernel_template().name()) continue;
    const bool kills = TookHostsDown(record.trial) ||
                       std::ranges::any_of(record.again, TookHostsDown, &Remeasurement::trial);
    if (!kills) continue;
    StatusOr<Config> config = ConfigToday(task, record);
    if (config.ok()) killers.insert(*std::move(config));
  }
  return killers;
}

std::vector<Trial> CurrentTrials(const Task& task, std::span<const TrialRecord> records) {
  std::vector<Trial> current;
  for (const TrialRecord& record : records) {
    StatusOr<Config> config = ConfigToday(task, record);
    if (!config.ok()) continue;
    current.push_back(record.trial);
    current.back().config = *std::move(config);
  }
  return current;
}

}  // namespace kiln
