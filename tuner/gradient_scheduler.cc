// Ansor's task scheduler (Zheng et al., OSDI 2020, section 6.2). With g(t) the best time of a task
// after t batches and w its weight in the network, the saving that one more batch promises is
//
//   w * (alpha * slope + (1 - alpha) * guess)
//   slope = (g(t - window) - g(t)) / window         what the last batches gained
//   guess = max(g(t) / t,                           the time falls to 0 in as many batches more
//               g(t) - beta * work / throughput)    what a similar task's throughput allows
//
// Differences are written as savings (positive), where the paper has gradients (negative).

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "tuner/task_scheduler.h"

namespace kiln {
namespace {

constexpr double kAlpha = 0.2;
constexpr double kBeta = 2.0;
constexpr std::size_t kWindow = 3;
// A task on which nothing has worked yet comes first: without it there is no network. After so many
// batches in vain it gets trials only when the others are finished.
constexpr std::size_t kBatchesInVain = 4;

double BestOf(const TaskProgress& task) {
  return task.best_ns.empty() ? std::numeric_limits<double>::infinity() : task.best_ns.back();
}

// Best throughput of each family.
std::map<std::string, double> Throughputs(std::span<const TaskProgress> tasks) {
  std::map<std::string, double> best;
  for (const TaskProgress& task : tasks) {
    double& value = best[task.family];
    value = std::max(value, task.work / BestOf(task));
  }
  return best;
}

double ExpectedSaving(const TaskProgress& task, double throughput) {
  const double now = BestOf(task);
  const std::size_t batches = task.best_ns.size();
  if (!std::isfinite(now)) {
    return batches < kBatchesInVain ? std::numeric_limits<double>::infinity() : 0;
  }
  double slope = 0;
  if (batches > 1) {
    const std::size_t window = std::min(kWindow, batches - 1);
    const double before = task.best_ns[batches - 1 - window];
    if (std::isfinite(before)) slope = (before - now) / static_cast<double>(window);
  }
  double guess = now / static_cast<double>(batches);
  if (throughput > 0) guess = std::max(guess, now - kBeta * task.work / throughput);
  return task.weight * (kAlpha * slope + (1 - kAlpha) * guess);
}

class GradientScheduler final : public TaskScheduler {
 public:
  std::optional<std::size_t> Next(std::span<const TaskProgress> tasks) override {
    const std::map<std::string, double> throughputs = Throughputs(tasks);
    std::optional<std::size_t> next;
    double most = 0;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const TaskProgress& task = tasks[i];
      if (task.finished) continue;
      if (task.trials == 0) return i;
      // Its first batch is under way: nothing is known yet, so others go first.
      const double saving =
          task.best_ns.empty() ? -1 : ExpectedSaving(task, throughputs.at(task.family));
      if (!next || saving > most || (saving == most && task.trials < tasks[*next].trials)) {
        next = i;
        most = saving;
      }
    }
    return next;
  }
};

}  // namespace

std::unique_ptr<TaskScheduler> NewGradientScheduler() {
  return std::make_unique<GradientScheduler>();
}

}  // namespace kiln
