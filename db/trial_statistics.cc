// Statistics as folds over all records. Memory in proportion to the store: the SQL of
// db/statistics_tables.cc says the same of a database without reading it all.

#include "db/trial_statistics.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "db/best_choice.h"
#include "db/statistics_rules.h"

namespace kiln {

TaskNames NamesOf(const TrialRecord& r) {
  return {r.workload, r.target, r.threads, r.cache, r.kernel_template};
}

namespace {

bool Failed(const Trial& trial) { return std::holds_alternative<Failure>(trial.outcome); }

// Calls `visit` with every measurement, the one of tuning first.
template <typename Visit>
void ForEachMeasurement(const TrialRecord& record, Visit visit) {
  visit(record.trial);
  for (const Remeasurement& more : record.again) visit(more.trial);
}

struct FailureFold {
  FailureGroup group;
  std::string latest;  // uuid of the measurement that can be made again

  void Add(const TrialRecord& record, const Trial& trial, std::int64_t since_ms) {
    const Failure& failure = std::get<Failure>(trial.outcome);
    group.stage = failure.stage;
    group.kind = failure.kind;
    group.message = failure.message;
    ++group.count;
    group.since += trial.measured_at_ms >= since_ms;
    // Of several at one moment, the one of the largest uuid: any, but the same in every store.
    if (std::tie(trial.measured_at_ms, trial.uuid) < std::tie(group.last_ms, latest)) return;
    group.last_ms = trial.measured_at_ms;
    group.task = NamesOf(record);
    group.config_id = record.config_id;
    group.device = trial.device;
    latest = trial.uuid;
  }
};

void AddToDevice(const Trial& trial, std::int64_t since_ms, DeviceActivity& device) {
  const bool recent = trial.measured_at_ms >= since_ms;
  const double timed_ns = TimedNs(trial.outcome);
  device.device = trial.device;
  ++device.measurements;
  device.failed += Failed(trial);
  device.timed_ns += timed_ns;
  device.last_ms = std::max(device.last_ms, trial.measured_at_ms);
  if (!recent) return;
  ++device.since;
  device.failed_since += Failed(trial);
  device.timed_since_ns += timed_ns;
  device.hottest_since_c = std::max(device.hottest_since_c, trial.after.temperature_c);
}

void AddToReading(const Trial& trial, std::int64_t since_ms, DeviceReading& reading) {
  const bool recent = trial.measured_at_ms >= since_ms;
  reading.device = trial.device;
  reading.since += recent;
  reading.failed_since += recent && Failed(trial);
  if (trial.measured_at_ms < reading.last_ms) return;
  reading.last_ms = trial.measured_at_ms;
  reading.temperature_c = trial.after.temperature_c;
  reading.load = trial.after.load_1min;
}

class RecordStatistics final : public TrialStatistics {
 public:
  explicit RecordStatistics(const TuningStore& store) : store_(store) {}

  StatusOr<std::vector<TaskActivity>> Tasks(std::int64_t since_ms) const override {
    ASSIGN_OR_RETURN(const std::vector<TrialRecord> records, store_.Records({}));
    std::map<TaskNames, TaskActivity> tasks;
    for (const TrialRecord& record : records) {
      TaskActivity& task = tasks[NamesOf(record)];
      ++task.trials;
      task.failed += Failed(record.trial);
      task.since += record.trial.measured_at_ms >= since_ms;
      task.last_ms = std::max(task.last_ms, record.trial.measured_at_ms);
    }
    std::vector<TaskActivity> result;
    for (auto& [names, task] : tasks) {
      task.task = names;
      result.push_back(std::move(task));
    }
    return result;
  }

  StatusOr<FailureSummary> Failures(std::int64_t since_ms, std::size_t limit) const override {
    ASSIGN_OR_RETURN(const std::vector<TrialRecord> records, store_.Records({}));
    std::map<std::tuple<std::string_view, std::string_view, std::string>, FailureFold> groups;
    for (const TrialRecord& record : records) {
      ForEachMeasurement(record, [&](const Trial& trial) {
        const auto* failure = std::get_if<Failure>(&trial.outcome);
        if (failure == nullptr) return;
        groups[{Name(failure->stage), Name(failure->kind), failure->message}].Add(record, trial,
                                                                                  since_ms);
      });
    }
    FailureSummary summary;
    for (auto& [key, each] : groups) {
      ++summary.all_groups;
      summary.new_groups += IsNew(each.group);
      summary.count += each.group.count;
      summary.since += each.group.since;
      summary.groups.push_back(std::move(each.group));
    }
    std::ranges::stable_sort(summary.groups, std::greater<>(), &FailureGroup::count);
    if (summary.groups.size() > limit) summary.groups.resize(limit);
    return summary;
  }

  StatusOr<std::vector<DeviceActivity>> Devices(std::int64_t since_ms) const override {
    ASSIGN_OR_RETURN(const std::vector<TrialRecord> records, store_.Records({}));
    std::map<std::string, DeviceActivity> devices;
    for (const TrialRecord& record : records) {
      ForEachMeasurement(
          record, [&](const Trial& trial) { AddToDevice(trial, since_ms, devices[trial.device]); });
    }
    std::vector<DeviceActivity> result;
    for (auto& [name, device] : devices) result.push_back(std::move(device));
    return result;
  }

  StatusOr<std::vector<DeviceReading>> Readings(std::int64_t since_ms) const override {
    ASSIGN_OR_RETURN(const std::vector<TrialRecord> records, store_.Records({}));
    std::map<std::string, DeviceReading> readings;
    for (const TrialRecord& record : records) {
      ForEachMeasurement(record, [&](const Trial& trial) {
        AddToReading(trial, since_ms, readings[trial.device]);
      });
    }
    std::vector<DeviceReading> result;
    for (auto& [name, reading] : readings) result.push_back(std::move(reading));
    return result;
  }

  StatusOr<std::vector<Repetition>> Repetitions() const override {
    ASSIGN_OR_RETURN(const std::vector<TrialRecord> records, store_.Records({}));
    std::vector<Repetition> repetitions;
    for (const TrialRecord& record : records) {
      const std::optional<double> first = RankTime(record.trial);
      for (const Remeasurement& more : record.again) {
        const std::optional<double> again = RankTime(more.trial);
        if (!first || !again || more.trial.device != record.trial.device) continue;
        repetitions.push_back({more.trial.device, more.trial.measured_at_ms, *first, *again});
      }
    }
    std::ranges::sort(repetitions);
    return repetitions;
  }

  StatusOr<std::vector<std::vector<BestSoFarCurve>>> Curves(
      std::span<const TaskNames> tasks) const override {
    ASSIGN_OR_RETURN(const auto of_tasks, ByTask());
    std::vector<std::vector<BestSoFarCurve>> result;
    for (const TaskNames& task : tasks) {
      CurveFold fold;
      if (const auto found = of_tasks.find(task); found != of_tasks.end()) {
        for (const TrialRecord& record : found->second) {
          fold.Add(record.seq, record.trial.kind, record.trial.device, RankTime(record.trial));
        }
      }
      result.push_back(fold.Take());
    }
    return result;
  }

  StatusOr<std::vector<std::vector<TrialRecord>>> RecordsOf(
      std::span<const ConfigNames> configs) const override {
    ASSIGN_OR_RETURN(const auto of_tasks, ByTask());
    std::vector<std::vector<TrialRecord>> result;
    for (const ConfigNames& config : configs) {
      std::vector<TrialRecord>& records = result.emplace_back();
      const auto found = of_tasks.find(config.task);
      if (found == of_tasks.end()) continue;
      for (const TrialRecord& record : found->second) {
        if (record.config_id == config.config_id) records.push_back(record);
      }
    }
    return result;
  }

  StatusOr<std::vector<Best>> BestsBefore(std::int64_t ms) const override {
    ASSIGN_OR_RETURN(const std::vector<TrialRecord> records, store_.Records({}));
    using Setting = std::tuple<std::string, std::string, std::int32_t, CacheState>;
    std::map<Setting, std::vector<TrialRecord>> settings;
    for (const TrialRecord& record : records) {
      std::optional<TrialRecord> then = AsOf(record, ms);
      if (!then) continue;
      settings[{then->workload, then->target, then->threads, then->cache}].push_back(
          *std::move(then));
    }
    std::vector<Best> bests;
    for (auto& [setting, contestants] : settings) {
      std::vector<BestCandidate> candidates;
      for (std::size_t i = 0; i < contestants.size(); ++i) {
        AddCandidates(i, contestants[i], candidates);
      }
      const std::optional<std::size_t> best = ChooseBest(candidates);
      if (!best) continue;
      const BestCandidate& chosen = candidates[*best];
      bests.push_back(
          BestOf(std::move(contestants[chosen.trial]), chosen, TrialsLike(chosen, candidates)));
    }
    return bests;
  }

  StatusOr<Sessions> NewestSessions(std::size_t) const override { return Sessions(); }

 private:
  StatusOr<std::map<TaskNames, std::vector<TrialRecord>>> ByTask() const {
    ASSIGN_OR_RETURN(std::vector<TrialRecord> records, store_.Records({}));
    std::map<TaskNames, std::vector<TrialRecord>> tasks;
    for (TrialRecord& record : records) tasks[NamesOf(record)].push_back(std::move(record));
    return tasks;
  }

  const TuningStore& store_;
};

}  // namespace

std::unique_ptr<TrialStatistics> NewTrialStatistics(const TuningStore& store) {
  return std::make_unique<RecordStatistics>(store);
}

}  // namespace kiln
