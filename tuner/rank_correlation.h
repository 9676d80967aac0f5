#pragma once

#include <optional>
#include <span>

namespace kiln {

// Spearman's rank correlation of two equally long series; ties get their mean rank. nullopt: fewer
// than three pairs, or a series that is constant.
std::optional<double> RankCorrelation(std::span<const double> a, std::span<const double> b);

}  // namespace kiln
