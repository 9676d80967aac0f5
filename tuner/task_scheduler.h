#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kiln {

// How far a task is: what a scheduler may know.
struct TaskProgress {
  double weight = 1;            // how often the network runs it
  double work = 0;              // multiply-accumulates of one run
  std::string family;           // tasks of one family reach similar throughputs
  std::vector<double> best_ns;  // best rank time after each batch; +inf: none yet
  std::int64_t trials = 0;      // made or under way
  bool finished = false;        // space used up, cap reached, no gain
};

// This shares the trials out between the tasks of a network. Pure: the same progress gives the same
// answer.
class TaskScheduler {
 public:
  virtual ~TaskScheduler() = default;
  // The task that gets the next batch; nullopt when all are finished.
  virtual std::optional<std::size_t> Next(std::span<const TaskProgress> tasks) = 0;
};

// The task with the fewest trials; the first of them.
std::unique_ptr<TaskScheduler> NewRoundRobinScheduler();

// Where the next batch is expected to save most of the whole network's time (Ansor's gradient,
// Zheng et al., OSDI 2020, section 6). Every task gets a first batch, in order.
std::unique_ptr<TaskScheduler> NewGradientScheduler();

}  // namespace kiln
