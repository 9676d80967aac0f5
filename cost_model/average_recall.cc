#include "cost_model/average_recall.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace kiln {
namespace {

std::vector<std::size_t> HighestFirst(std::span<const float> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order,
                           [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  return order;
}

}  // namespace

double AverageRecall(std::span<const float> scores, std::span<const float> labels, std::size_t n) {
  n = std::min(n, scores.size());
  if (n == 0) return 0;
  const std::vector<std::size_t> by_score = HighestFirst(scores);
  const std::vector<std::size_t> by_label = HighestFirst(labels);
  // Row r is among the top k of both rankings from k = its worse rank on; rank_of counts from 0.
  std::vector<std::size_t> rank_of(labels.size());
  for (std::size_t rank = 0; rank < by_label.size(); ++rank) rank_of[by_label[rank]] = rank;
  std::vector<std::size_t> enters(n, 0);
  for (std::size_t rank = 0; rank < n; ++rank) {
    const std::size_t worse = std::max(rank, rank_of[by_score[rank]]);
    if (worse < n) ++enters[worse];
  }
  double sum = 0;
  std::size_t shared = 0;
  for (std::size_t k = 1; k <= n; ++k) {
    shared += enters[k - 1];
    sum += static_cast<double>(shared) / static_cast<double>(k);
  }
  return sum / static_cast<double>(n);
}

}  // namespace kiln
