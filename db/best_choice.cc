#include "db/best_choice.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "db/trial_rules.h"

namespace kiln {
namespace {

using Candidates = std::span<const BestCandidate>;

Judgement Judge(const Trial& trial, bool confirms) {
  const auto* failure = std::get_if<Failure>(&trial.outcome);
  return {.device = trial.device,
          .confirms = confirms,
          .wrong = failure != nullptr && (failure->kind == FailureKind::kWrongResult ||
                                          failure->kind == FailureKind::kHostKilled),
          .rank_ns = RankTime(trial),
          .measured_at_ms = trial.measured_at_ms};
}

auto Name(const BestCandidate& c) {
  return std::make_tuple(std::string_view(c.config_id), std::string_view(c.kernel_template));
}

auto Rank(const BestCandidate& c) { return std::make_tuple(!c.confirmed, *c.rank_ns, Name(c)); }

bool AreTied(const BestCandidate& c, const BestCandidate& fastest) {
  return c.confirmed && fastest.confirmed && *c.rank_ns <= *fastest.rank_ns * (1 + kTieBand);
}

// Those of the latest code of their config that have a time, as positions.
std::vector<std::size_t> Eligible(Candidates candidates) {
  std::map<std::tuple<std::string_view, std::string_view, TimeKind>, std::int64_t> latest;
  for (const BestCandidate& c : candidates) {
    std::int64_t& seq = latest[{c.kernel_template, c.config_id, c.kind}];
    seq = std::max(seq, c.seq);
  }
  std::vector<std::size_t> eligible;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const BestCandidate& c = candidates[i];
    if (!c.rank_ns || c.seq != latest[{c.kernel_template, c.config_id, c.kind}]) continue;
    eligible.push_back(i);
  }
  return eligible;
}

// Leaves those of the best kind of times.
void KeepBestKind(Candidates candidates, std::vector<std::size_t>& eligible) {
  TimeKind kind = TimeKind::kEstimated;
  for (const std::size_t i : eligible) kind = std::min(kind, candidates[i].kind);
  std::erase_if(eligible, [&](std::size_t i) { return candidates[i].kind != kind; });
}

// Leaves those of the device that decides.
void KeepDecidingDevice(Candidates candidates, std::vector<std::size_t>& eligible) {
  struct Claim {
    std::int64_t confirmed_at_ms = std::numeric_limits<std::int64_t>::min();
    std::int64_t configs = 0;
  };
  std::map<std::string_view, Claim> claims;  // by name: the first of equals is the smallest
  for (const std::size_t i : eligible) {
    const BestCandidate& c = candidates[i];
    Claim& claim = claims[c.device];
    ++claim.configs;
    if (c.confirmed) claim.confirmed_at_ms = std::max(claim.confirmed_at_ms, c.measured_at_ms);
  }
  const bool any_confirmed =
      std::ranges::any_of(eligible, [&](std::size_t i) { return candidates[i].confirmed; });
  const auto strength = [&](const auto& claim) {
    return any_confirmed ? claim.second.confirmed_at_ms : claim.second.configs;
  };
  const std::string_view device = std::ranges::max_element(claims, {}, strength)->first;
  std::erase_if(eligible, [&](std::size_t i) { return candidates[i].device != device; });
}

}  // namespace

std::optional<std::size_t> ChooseBest(std::span<const BestCandidate> candidates) {
  std::vector<std::size_t> eligible = Eligible(candidates);
  if (eligible.empty()) return std::nullopt;
  KeepBestKind(candidates, eligible);
  KeepDecidingDevice(candidates, eligible);
  const std::size_t fastest =
      std::ranges::min(eligible, {}, [&](std::size_t i) { return Rank(candidates[i]); });
  std::size_t best = fastest;
  for (const std::size_t i : eligible) {
    if (AreTied(candidates[i], candidates[fastest]) &&
        Name(candidates[i]) < Name(candidates[best])) {
      best = i;
    }
  }
  return best;
}

std::int64_t TrialsLike(const BestCandidate& best, std::span<const BestCandidate> candidates) {
  std::set<std::size_t> trials;
  for (const BestCandidate& c : candidates) {
    if (c.kind == best.kind) trials.insert(c.trial);
  }
  return std::ssize(trials);
}

void AddCandidates(const BestCandidate& like, std::span<const Judgement> measurements,
                   std::vector<BestCandidate>& candidates) {
  const bool wrong = std::ranges::any_of(measurements, &Judgement::wrong);
  const std::size_t before = candidates.size();
  for (std::size_t i = 0; i < measurements.size(); ++i) {
    const Judgement& judgement = measurements[i];
    const auto own =
        std::find_if(candidates.begin() + static_cast<std::ptrdiff_t>(before), candidates.end(),
                     [&](const BestCandidate& c) { return c.device == judgement.device; });
    if (own != candidates.end() && !judgement.confirms) continue;
    BestCandidate& c = own != candidates.end() ? *own : candidates.emplace_back(like);
    c.measurement = i;
    c.device = judgement.device;
    c.confirmed = judgement.confirms;
    c.rank_ns = wrong ? std::nullopt : judgement.rank_ns;
    c.measured_at_ms = judgement.measured_at_ms;
  }
}

void AddCandidates(std::size_t trial, const TrialRecord& record,
                   std::vector<BestCandidate>& candidates) {
  const BestCandidate like{.trial = trial,
                           .kernel_template = record.kernel_template,
                           .config_id = record.config_id,
                           .seq = record.seq,
                           .kind = record.trial.kind};
  std::vector<Judgement> measurements = {Judge(record.trial, false)};
  for (const Remeasurement& more : record.again) {
    measurements.push_back(Judge(more.trial, more.confirms));
  }
  AddCandidates(like, measurements, candidates);
}

Best BestOf(TrialRecord record, const BestCandidate& chosen, std::int64_t trials) {
  Best best{.trials = trials, .confirmed = chosen.confirmed};
  best.judged = chosen.measurement == 0 ? record.trial : record.again[chosen.measurement - 1].trial;
  best.record = std::move(record);
  return best;
}

StatusOr<std::optional<Best>> BestFor(const TuningStore& store, const Task& task, CacheState cache,
                                      std::optional<TimeKind> kind) {
  ASSIGN_OR_RETURN(std::vector<TrialRecord> records,
                   store.Records({.workload = Key(task.workload()),
                                  .target = task.target().name,
                                  .threads = task.threads(),
                                  .cache = cache}));
  std::erase_if(records, [&](const TrialRecord& record) {
    return record.kernel_template != task.kernel_template().name() ||
           (kind && record.trial.kind != *kind);
  });
  std::map<TimeKind, std::int64_t> trials;
  for (const TrialRecord& record : records) ++trials[record.trial.kind];
  std::erase_if(records, [&](const TrialRecord& record) {
    return !CurrentConfig(task, record.labels, record.trial.code_digest).ok();
  });
  std::vector<BestCandidate> candidates;
  for (std::size_t i = 0; i < records.size(); ++i) AddCandidates(i, records[i], candidates);
  const std::optional<std::size_t> best = ChooseBest(candidates);
  if (!best) return std::optional<Best>();
  const BestCandidate& chosen = candidates[*best];
  return std::optional<Best>(BestOf(std::move(records[chosen.trial]), chosen, trials[chosen.kind]));
}

std::optional<Trial> JudgedBeside(std::span<const TrialRecord> records, const Best& best) {
  std::vector<BestCandidate> candidates;
  for (std::size_t i = 0; i < records.size(); ++i) {
    AddCandidates(i, records[i], candidates);
  }
  const auto latest = std::ranges::find_if(
      candidates.rbegin(), candidates.rend(),
      [&](const auto& c) { return c.kind == best.judged.kind && c.device == best.judged.device; });
  if (latest == candidates.rend() || !latest->rank_ns) return std::nullopt;
  const TrialRecord& record = records[latest->trial];
  return latest->measurement == 0 ? record.trial : record.again[latest->measurement - 1].trial;
}

StatusOr<std::optional<Trial>> DefaultBeside(const TuningStore& store, const Task& task,
                                             const Best& best) {
  const Config untuned = task.kernel_template().Default(task.spec(), task.space());
  ASSIGN_OR_RETURN(std::vector<TrialRecord> records,
                   store.Records({.workload = best.record.workload,
                                  .target = best.record.target,
                                  .threads = best.record.threads,
                                  .cache = best.record.cache,
                                  .config_id = task.space().Id(untuned)}));
  std::erase_if(records, [&](const TrialRecord& record) {
    return record.kernel_template != task.kernel_template().name();
  });
  return JudgedBeside(records, best);
}

}  // namespace kiln
