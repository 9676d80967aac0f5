#include "tuner/policies.h"
#include "tuner/seen_configs.h"

namespace kiln {
namespace {

class RandomPolicy final : public SearchPolicy {
 public:
  RandomPolicy(const Task& task, const PolicyOptions& options)
      : task_(task), options_(options), seen_(task.space()) {}

  std::vector<Proposal> Propose(std::int64_t batch, std::int32_t count) override {
    Rng rng = BatchStream(options_.seed, task_, batch);
    std::vector<Proposal> proposals;
    while (static_cast<std::int32_t>(proposals.size()) < count) {
      std::optional<Config> config = seen_.SampleUnseen(rng);
      if (!config) break;
      seen_.Insert(*config);
      proposals.push_back({*std::move(config), std::nullopt});
    }
    return proposals;
  }

  void Observe(std::span<const Trial> trials) override {
    for (const Trial& trial : trials) seen_.Insert(trial.config);
  }

 private:
  Task task_;
  PolicyOptions options_;
  SeenConfigs seen_;
};

}  // namespace

std::unique_ptr<SearchPolicy> NewRandomPolicy(const Task& task, const PolicyOptions& options) {
  return std::make_unique<RandomPolicy>(task, options);
}

}  // namespace kiln
