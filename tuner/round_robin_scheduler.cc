#include "tuner/task_scheduler.h"

namespace kiln {
namespace {

class RoundRobinScheduler final : public TaskScheduler {
 public:
  std::optional<std::size_t> Next(std::span<const TaskProgress> tasks) override {
    std::optional<std::size_t> next;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (tasks[i].finished) continue;
      if (!next || tasks[i].trials < tasks[*next].trials) next = i;
    }
    return next;
  }
};

}  // namespace

std::unique_ptr<TaskScheduler> NewRoundRobinScheduler() {
  return std::make_unique<RoundRobinScheduler>();
}

}  // namespace kiln
