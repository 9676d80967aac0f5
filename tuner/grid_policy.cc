#include "tuner/policies.h"
#include "tuner/seen_configs.h"

namespace kiln {
namespace {

class GridPolicy final : public SearchPolicy {
 public:
  explicit GridPolicy(const Task& task) : space_(task.space()), seen_(space_) {}

  std::vector<Proposal> Propose(std::int64_t, std::int32_t count) override {
    std::vector<Proposal> proposals;
    for (; next_ < space_.size() && static_cast<std::int32_t>(proposals.size()) < count; ++next_) {
      Config config = space_.At(next_);
      if (seen_.Insert(config)) proposals.push_back({std::move(config), std::nullopt});
    }
    return proposals;
  }

  void Observe(std::span<const Trial> trials) override {
    for (const Trial& trial : trials) seen_.Insert(trial.config);
  }

 private:
  ConfigSpace space_;
  SeenConfigs seen_;
  std::uint64_t next_ = 0;
};

}  // namespace

std::unique_ptr<SearchPolicy> NewGridPolicy(const Task& task) {
  return std::make_unique<GridPolicy>(task);
}

}  // namespace kiln
