#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "db/trial_statistics.h"

// What statistics mean, wherever they are made.

namespace kiln {

// Whether nothing of it happened before.
inline bool IsNew(const FailureGroup& group) { return group.since == group.count; }

// The time in which a kernel was timed: DeviceActivity::timed_ns.
double TimedNs(const Outcome& outcome);

// The record as it was before that time (Unix, ms): without measurements of later. nullopt: it was
// not there, for it was tuned later.
std::optional<TrialRecord> AsOf(TrialRecord record, std::int64_t ms);

// This makes the curves of one task of its trials, which are added by seq.
class CurveFold {
 public:
  // `ns`: unset where it gave no time.
  void Add(std::int64_t seq, TimeKind kind, const std::string& device, std::optional<double> ns);
  // By kind and device.
  std::vector<BestSoFarCurve> Take();

 private:
  std::map<std::pair<TimeKind, std::string>, BestSoFarCurve> curves_;
  std::int64_t last_seq_ = 0;
};

}  // namespace kiln
