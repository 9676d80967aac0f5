#include <map>

#include "models/model.h"

namespace kiln {

Status CheckHasLayers(const Network& network) {
  if (!network.layers.empty()) return {};
  std::string skipped;
  for (const auto& [op, count] : network.skipped) {
    skipped += (skipped.empty() ? "" : ", ") + std::to_string(count) + " x " + op;
  }
  return Error(StatusCode::kNotFound, network.name, " has no layer that Kiln tunes",
               skipped.empty() ? "" : ", only " + skipped);
}

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

std::vector<SharedWorkload> SharedWorkloads(std::span<const WeightedNetwork> networks) {
  std::vector<SharedWorkload> shared;
  std::map<Workload, std::size_t> index;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    for (const WeightedWorkload& unique : UniqueWorkloads(networks[i].network)) {
      const auto [position, is_new] = index.try_emplace(unique.workload, shared.size());
      if (is_new) shared.push_back({.workload = unique.workload});
      SharedWorkload& known = shared[position->second];
      known.uses.push_back({i, unique.count});
      known.weight += networks[i].weight * unique.count;
    }
  }
  return shared;
}

}  // namespace kiln
