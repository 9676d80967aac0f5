#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/kiln/terminal_picture.h"

namespace kiln {

// A tuning as a person looks at it while it runs.
struct TuningPicture {
  enum class State : std::uint8_t { kWaits, kTunes, kConfirms, kDone };
  struct Row {
    std::string layer;
    std::int64_t count = 1;  // how often the network has it
    double weight = 0;       // of its time in the network's, roughly: which rows are worth room
    std::int64_t trials = 0, failed = 0;
    double first_ns = 0, best_ns = 0;  // 0: none yet; the first is that of the first batch
    double gops = 0;
    std::optional<double> share;  // of the measured peak
    std::vector<double> curve;    // best so far in ns, a point each batch; infinite: none yet
    State state = State::kWaits;
  };
  std::string progress;  // "3/20 tasks  412 of 1280 trials  12.1/s  ETA 1m12s"
  std::string kind;      // "" or "emulated": of the times
  std::vector<Row> rows;
};

// A heading, a row for each layer in the network's order, and their sum. Where there is no room for
// all, those that take the most time are shown, always the same ones.
std::vector<std::string> DrawTuning(const TuningPicture& picture, const Canvas& canvas);

// A curve in `width` characters: the best so far as height, higher is faster. Empty where there are
// no two points.
std::string Sparkline(const std::vector<double>& best_ns, std::size_t width, bool unicode);

}  // namespace kiln
