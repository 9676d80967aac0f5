#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "db/tuning_store.h"
#include "gmock/gmock.h"
#include "tests/kernels_templates/fake_template.h"

// Trials to store, of the fake template's tasks.

namespace kiln {

// A fake task with a space of some 4000 configs.
inline FakeTemplate::Options ManyConfigs() {
  FakeTemplate::Options options;
  options.tiles.clear();
  for (std::int64_t tile = 1; tile <= 1000; ++tile) options.tiles.push_back(tile);
  return options;
}

inline std::uint64_t CodeOf(const Task& task, const Config& config) {
  const auto source = task.Emit(config);
  return source.ok() ? source->code_digest : 0;
}

// A trial of the index-th config, ten samples from `ns` upwards.
inline Trial OkTrial(const Task& task, std::uint64_t index, double ns, const std::string& uuid) {
  Trial trial;
  trial.uuid = uuid;
  trial.config = task.space().At(index);
  trial.code_digest = CodeOf(task, trial.config);
  Timings timings;
  for (int i = 9; i >= 0; --i) timings.samples_ns.push_back(ns + i);
  timings.calls_per_sample = 7;
  trial.outcome = timings;
  trial.device = "board-1";
  trial.measured_at_ms = 1'700'000'000'123;
  return trial;
}

inline Trial FailedTrial(const Task& task, std::uint64_t index, Failure failure,
                         const std::string& uuid) {
  Trial trial = OkTrial(task, index, 1, uuid);
  trial.outcome = std::move(failure);
  return trial;
}

inline Trial CensoredTrial(const Task& task, std::uint64_t index, double bound_ns,
                           const std::string& uuid) {
  Trial trial = OkTrial(task, index, bound_ns, uuid);
  Timings partial = std::get<Timings>(trial.outcome);
  partial.samples_ns.resize(3);
  trial.outcome = Censored{partial, bound_ns};
  return trial;
}

// Equality of all that is stored; configs are compared where both have one.
inline bool Same(const Outcome& a, const Outcome& b) {
  if (a.index() != b.index()) return false;
  const auto same_timings = [](const Timings& x, const Timings& y) {
    return x.samples_ns == y.samples_ns && x.calls_per_sample == y.calls_per_sample;
  };
  if (const auto* x = std::get_if<Timings>(&a)) return same_timings(*x, std::get<Timings>(b));
  if (const auto* x = std::get_if<Censored>(&a)) {
    const auto& y = std::get<Censored>(b);
    return same_timings(x->partial, y.partial) && x->bound_ns == y.bound_ns;
  }
  const auto &x = std::get<Failure>(a), &y = std::get<Failure>(b);
  return x.stage == y.stage && x.kind == y.kind && x.message == y.message;
}

inline bool Same(const DeviceState& a, const DeviceState& b) {
  return a.frequency_mhz == b.frequency_mhz && a.temperature_c == b.temperature_c &&
         a.load_1min == b.load_1min;
}

MATCHER_P(SameMeasurement, trial, "") {
  return arg.uuid == trial.uuid && arg.code_digest == trial.code_digest &&
         Same(arg.outcome, trial.outcome) && arg.device == trial.device &&
         arg.measured_at_ms == trial.measured_at_ms && arg.kind == trial.kind &&
         Same(arg.before, trial.before) && Same(arg.after, trial.after) && arg.log == trial.log;
}
MATCHER_P(SameTrial, trial, "") {
  return ::testing::ExplainMatchResult(SameMeasurement(trial), arg, result_listener) &&
         arg.config == trial.config && arg.predicted == trial.predicted && arg.batch == trial.batch;
}

// A directory of a test's own, removed with all that is in it.
class TempDir {
 public:
  TempDir() {
    std::string pattern = ::testing::TempDir() + "kiln-db-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string File(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace kiln
