#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "db/tuning_store.h"

namespace kiln {

// What decides whether a config is the best of its workload: how it did on one device.
struct BestCandidate {
  std::size_t trial = 0;        // the caller's number of its trial
  std::size_t measurement = 0;  // that decides: 0 is how it was tuned, i is again[i - 1]
  std::string kernel_template, config_id;
  std::int64_t seq = 0;
  TimeKind kind = TimeKind::kMeasured;
  std::string device;
  bool confirmed = false;
  std::optional<double> rank_ns;  // nullopt: failed, censored, or ever `wrong`
  std::int64_t measured_at_ms = 0;
};

// The rule of every store. Of each kind of times, a config whose code has changed is represented by
// its latest trial alone; a config that failed, or was cut off, when last measured, or that ever
// gave a wrong result or took hosts down, is out. Of the rest: measured before emulated before estimated. Times of
// different devices are not compared: the device of the latest confirmation decides, or, where
// nothing is confirmed, the device that measured the most configs (then the smallest name). Of its
// candidates: confirmed before not; then the smallest rank time; but confirmed candidates within
// kTieBand of it are a tie, which goes to the smallest config id, so that noise does not make equal
// stores answer differently. Returns a position; nullopt: none can be best.
inline constexpr double kTieBand = 0.003;  // relative; minima of repeated runs differ by more
std::optional<std::size_t> ChooseBest(std::span<const BestCandidate> candidates);

// How many trials are of the same kind as `best`.
std::int64_t TrialsLike(const BestCandidate& best, std::span<const BestCandidate> candidates);

// What a measurement contributes to a candidate.
struct Judgement {
  std::string device;
  bool confirms = false;
  bool wrong = false;  // or took hosts down
  std::optional<double> rank_ns;
  std::int64_t measured_at_ms = 0;
};

// Appends the candidates that a trial is, one for each device: on each it is judged by the latest
// confirmation, or, without one, by the first measurement. `like` has what they have in common;
// `measurements` are in order of insertion, the first as it was tuned.
void AddCandidates(const BestCandidate& like, std::span<const Judgement> measurements,
                   std::vector<BestCandidate>& candidates);

// The same for a record.
void AddCandidates(std::size_t trial, const TrialRecord& record,
                   std::vector<BestCandidate>& candidates);

// The best that a candidate of this record is.
Best BestOf(TrialRecord record, const BestCandidate& chosen, std::int64_t trials);

}  // namespace kiln
