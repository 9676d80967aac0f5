#include "measure/timed_builder.h"

#include <utility>

namespace kiln {
namespace {

class TimedBuilder final : public Builder {
 public:
  TimedBuilder(std::unique_ptr<Builder> inner, const Clock& clock, BuildObserver observer)
      : inner_(std::move(inner)), clock_(clock), observer_(std::move(observer)) {}

  StatusOr<std::variant<Artifact, BuildFailure>> Build(const Task& task,
                                                       const Config& config) override {
    const SteadyTime begun = clock_.Now();
    auto built = inner_->Build(task, config);
    observer_(clock_.Now() - begun, built.status());
    return built;
  }

 private:
  const std::unique_ptr<Builder> inner_;
  const Clock& clock_;
  const BuildObserver observer_;
};

}  // namespace

std::unique_ptr<Builder> NewTimedBuilder(std::unique_ptr<Builder> inner, const Clock& clock,
                                         BuildObserver observer) {
  return std::make_unique<TimedBuilder>(std::move(inner), clock, std::move(observer));
}

}  // namespace kiln
