#pragma once

#include <optional>
#include <string>

// Figures (measure/figures.h) as the cells of our tables have them. What is not known is "-".

namespace kiln {

// A share: "45%".
std::string PercentText(std::optional<double> share);

// A gain: "1.23x".
std::string GainText(std::optional<double> gain);

}  // namespace kiln
