#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace kiln {

// This is how fast a run makes trials, and so how many of them fit before its deadline. A share of
// the time is kept for comparing the finalists. Not thread-safe.
class Pace {
 public:
  // The run begins now. `confirming` trials are to be made at its end; no deadline: everything fits.
  Pace(const Clock& clock, std::optional<SteadyTime> deadline, std::int64_t confirming)
      : clock_(clock), deadline_(deadline), confirming_(confirming), begun_(clock.Now()) {}

  // A trial has been made.
  void Count() { ++made_; }
  std::int64_t made() const { return made_; }

  // What is left of the time is for the finalists.
  bool IsOutOfTime() const { return deadline_ && clock_.Now() >= EndOfSearch(); }

  // How many of `wanted` trials fit after `under_way` others: all, as long as there is no telling;
  // at least one if nothing is under way, so that a pace that is too slow keeps nobody from trying.
  std::int32_t Fitting(std::int32_t wanted, std::size_t under_way) const;

 private:
  // Of a trial, which had to be compiled, too, and whose turn had to come: rather too long.
  Nanoseconds PerTrial() const { return (clock_.Now() - begun_) / made_; }
  // With a deadline.
  SteadyTime EndOfSearch() const { return *deadline_ - TimeToConfirm(); }
  Nanoseconds TimeToConfirm() const;

  const Clock& clock_;
  const std::optional<SteadyTime> deadline_;
  const std::int64_t confirming_;
  const SteadyTime begun_;
  std::int64_t made_ = 0;
};

}  // namespace kiln
