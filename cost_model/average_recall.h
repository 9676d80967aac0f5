#pragma once

#include <cstddef>
#include <span>

namespace kiln {

// AutoTVM's a-recall@n, how well a ranking finds the top: the mean over k = 1..n of the share of
// the k highest labels that is among the k highest scores. Ties go to the earlier row. In [0, 1].
double AverageRecall(std::span<const float> scores, std::span<const float> labels, std::size_t n);

}  // namespace kiln
