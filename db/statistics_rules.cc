#include "db/statistics_rules.h"

#include <algorithm>
#include <variant>

namespace kiln {

double TimedNs(const Outcome& outcome) {
  const auto timed = [](const Timings& timings) {
    return timings.median_ns() * timings.calls_per_sample *
           static_cast<double>(timings.samples_ns.size());
  };
  if (const auto* timings = std::get_if<Timings>(&outcome)) return timed(*timings);
  if (const auto* censored = std::get_if<Censored>(&outcome)) return timed(censored->partial);
  return 0;
}

void CurveFold::Add(std::int64_t seq, TimeKind kind, const std::string& device,
                    std::optional<double> ns) {
  last_seq_ = seq;
  if (!ns) return;
  BestSoFarCurve& curve = curves_[{kind, device}];
  if (curve.gains.empty() || *ns < curve.gains.back().ns) curve.gains.push_back({seq, *ns});
}

std::vector<BestSoFarCurve> CurveFold::Take() {
  std::vector<BestSoFarCurve> result;
  for (auto& [where, curve] : curves_) {
    curve.kind = where.first;
    curve.device = where.second;
    curve.last_seq = last_seq_;
    result.push_back(std::move(curve));
  }
  curves_.clear();
  return result;
}

std::optional<TrialRecord> AsOf(TrialRecord record, std::int64_t ms) {
  if (record.trial.measured_at_ms >= ms) return std::nullopt;
  std::erase_if(record.again,
                [&](const Remeasurement& more) { return more.trial.measured_at_ms >= ms; });
  return record;
}

}  // namespace kiln
