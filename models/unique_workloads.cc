#include <map>

#include "models/model.h"

namespace kiln {

std::vector<WeightedWorkload> UniqueWorkloads(const Network& network) {
  std::vector<WeightedWorkload> unique;
  std::map<Workload, std::size_t> index;
  for (const Layer& layer : network.layers) {
    const auto [position, is_new] = index.try_emplace(layer.workload, unique.size());
    if (is_new) {
      unique.push_back({layer.workload, 1, {layer.name}});
      continue;
    }
    WeightedWorkload& known = unique[position->second];
    ++known.count;
    known.layers.push_back(layer.name);
  }
  return unique;
}

}  // namespace kiln
