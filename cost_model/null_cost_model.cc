#include "cost_model/cost_model.h"

namespace kiln {
namespace {

class NullCostModel final : public CostModel {
 public:
  void Add(const Task&, std::span<const Trial>) override {}
  Status Fit() override { return absl::OkStatus(); }
  std::vector<float> Predict(const Task&, std::span<const Config>) const override { return {}; }
};

}  // namespace

std::unique_ptr<CostModel> NewNullCostModel() { return std::make_unique<NullCostModel>(); }

}  // namespace kiln
