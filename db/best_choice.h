#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "db/tuning_store.h"

namespace kiln {

// What decides whether a trial is the best of its workload.
struct BestCandidate {
  std::string kernel_template, config_id;
  std::int64_t seq = 0;
  TimeKind kind = TimeKind::kMeasured;
  bool confirmed = false;
  std::optional<double> rank_ns;  // of the latest measurement; nullopt: failed, censored or wrong
};

// The rule of every store. Of each kind of times, a config whose code has changed is represented by
// its latest trial alone; a config that failed, or was cut off, when last measured, or that ever
// gave a wrong result, is out. Of the rest: measured before emulated before estimated; confirmed
// before not; then the smallest rank time; but confirmed candidates within kTieBand of it are a
// tie, which goes to the smallest config id, so that noise does not make equal stores answer
// differently. Returns a position; nullopt: none can be best.
inline constexpr double kTieBand = 0.003;  // relative; minima of repeated runs differ by more
std::optional<std::size_t> ChooseBest(std::span<const BestCandidate> candidates);

// How many candidates are of the same kind as `best`.
std::int64_t TrialsLike(const BestCandidate& best, std::span<const BestCandidate> candidates);

// The candidate that a record is.
BestCandidate CandidateOf(const TrialRecord& record);

}  // namespace kiln
