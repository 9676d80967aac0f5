#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/kiln/command.h"
#include "apps/kiln/terminal_picture.h"
#include "tuner/tuner.h"

namespace kiln {

// This tells a person how the tuning goes: on a terminal a picture of all tasks that stays where it
// is, elsewhere a line now and then and one for each task that is done. On standard error, so that
// standard output is the result. Not thread-safe.
class TuneProgress {
 public:
  TuneProgress(const std::vector<NetworkTask>& tasks, TimeKind kind, double peak_gops,
               std::int64_t trials_expected);
  void Observe(const TuneEvent& event);
  void Finish();
  std::int64_t trials() const { return trials_; }  // of this run

 private:
  void Status();
  void Draw();
  void SayDone(std::size_t task);
  std::string Progress() const;
  double Best(std::size_t task) const;

  struct TaskState {
    std::int64_t trials = 0, resumed = 0, failed = 0;
    double best_ns = 0;
    std::vector<double> curve;  // best so far in ns, a point each batch
    bool confirming = false, done = false;
  };
  const std::vector<NetworkTask>& tasks_;
  const TimeKind kind_;
  const double peak_gops_;
  const std::int64_t trials_expected_;        // 0: not known
  std::unique_ptr<TerminalPicture> picture_;  // null: no terminal
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_status_;
  std::vector<TaskState> states_;
  std::int64_t trials_ = 0, resumed_ = 0;
  std::size_t current_ = 0;
};

// "measured peak 120 GOP/s"; "times are emulated".
std::string DescribePeak(TimeKind kind, double peak_gops);

struct TuneSummary {
  const Network& network;
  const NetworkTasks& tasks;
  const std::vector<TaskResult>& results;
  double peak_gops = 0;  // 0: not measured, because the times are not
  TimeKind kind = TimeKind::kMeasured;
  std::int32_t threads = 1;
  double seconds = 0;  // of the tuning
};

// Why there are fewer trials than were asked for, in words; empty: there are not. "it was
// interrupted (2 of 3 tasks), all 42 configs were tried (1)".
std::string WhyShort(const std::vector<TaskResult>& results);

// The network's total before and after, then each layer untuned and tuned, with its share of the
// measured peak.
void PrintSummary(const TuneSummary& summary);
// The same, one object per task and one for the network.
void PrintSummaryJson(const TuneSummary& summary);

// In place of a summary, for a tuning that an error ended after so many trials.
void PrintFailedSummary(const Network& network, std::int64_t trials, const Status& why, bool json);

}  // namespace kiln
