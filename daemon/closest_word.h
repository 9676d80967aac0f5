#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace kiln {

// The word of a list that somebody who wrote `word` seems to mean: at most two letters are added,
// left out, others, or swapped with the next one, and less than half of it. nullopt: none is so
// close. Of equals the first.
std::optional<std::string_view> ClosestWord(std::string_view word,
                                            std::span<const std::string_view> known);

}  // namespace kiln
