#pragma once

#include "base/clock.h"

namespace kiln {

// Time passes only when somebody lets it.
class SteppingClock final : public Clock {
 public:
  SteadyTime Now() const override { return now_; }
  WallTime Today() const override { return {}; }
  void Pass(Nanoseconds time) { now_ += time; }

 private:
  SteadyTime now_{};
};

}  // namespace kiln
