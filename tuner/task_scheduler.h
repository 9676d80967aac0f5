#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kiln {

// How far a task is: what a scheduler may know.
struct TaskProgress {
  double weight = 1;            // how often the network runs it
  std::vector<double> best_ns;  // best rank time after each batch; +inf: none yet
  std::int64_t trials = 0;      // made or under way
  bool finished = false;        // space used up, cap reached, no gain
};

// This shares the trials out between the tasks of a network. Pure.
class TaskScheduler {
 public:
  virtual ~TaskScheduler() = default;
  // The task that gets the next batch; nullopt when all are finished.
  virtual std::optional<std::size_t> Next(std::span<const TaskProgress> tasks) = 0;
};

std::unique_ptr<TaskScheduler> NewRoundRobinScheduler();
// Where the next trials are expected to save most of the whole network's time: weight times the
// larger of the recent slope and an optimistic guess (Ansor's gradient, OSDI 2020, equation 4).
std::unique_ptr<TaskScheduler> NewGradientScheduler();

}  // namespace kiln
