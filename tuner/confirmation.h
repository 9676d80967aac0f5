#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "measure/measurer.h"

namespace kiln {

// The finalists of a task are measured again, in turns (A B C A B C ...), so that a machine that
// slows down or heats up treats all alike. Each gets the samples of one trial in all, so that
// minima are taken over equal counts.
inline constexpr std::int32_t kConfirmationRounds = 5;

// Blocks until all is measured. One trial per config and device that measured it, by config in the
// order given, its samples joined from the rounds: a farm may spread the turns over its devices,
// whose times do not mix. A failure in any round is the outcome on that device. An error:
// some turn could not be measured at all. kCancelled: `stop`, which is asked often, returned true, and
// the turns that had not begun were withdrawn.
// `request` says what is common to all: task, cases and plan; its config is ignored.
StatusOr<std::vector<Trial>> MeasureInTurns(Measurer& measurer, const MeasureRequest& request,
                                            std::span<const Config> configs,
                                            const std::function<bool()>& stop = {});

}  // namespace kiln
