#include "apps/kiln/cells.h"

#include <fmt/format.h>

namespace kiln {

std::string PercentText(std::optional<double> share) {
  return share ? fmt::format("{:.0f}%", 100 * *share) : "-";
}

std::string GainText(std::optional<double> gain) {
  return gain ? fmt::format("{:.2f}x", *gain) : "-";
}

}  // namespace kiln
