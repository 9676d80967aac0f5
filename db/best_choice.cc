#include "db/best_choice.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "db/trial_rules.h"

namespace kiln {
namespace {

bool IsWrong(const Trial& trial) {
  const auto* failure = std::get_if<Failure>(&trial.outcome);
  return failure != nullptr && failure->kind == FailureKind::kWrongResult;
}

auto Name(const BestCandidate& c) {
  return std::make_tuple(std::string_view(c.config_id), std::string_view(c.kernel_template));
}

auto Rank(const BestCandidate& c) {
  return std::make_tuple(c.kind, !c.confirmed, *c.rank_ns, Name(c));
}

bool AreTied(const BestCandidate& c, const BestCandidate& fastest) {
  return c.kind == fastest.kind && c.confirmed && fastest.confirmed &&
         *c.rank_ns <= *fastest.rank_ns * (1 + kTieBand);
}

}  // namespace

std::optional<std::size_t> ChooseBest(std::span<const BestCandidate> candidates) {
  std::map<std::tuple<std::string_view, std::string_view, TimeKind>, std::int64_t> latest;
  for (const BestCandidate& c : candidates) {
    std::int64_t& seq = latest[{c.kernel_template, c.config_id, c.kind}];
    seq = std::max(seq, c.seq);
  }
  const auto eligible = [&](const BestCandidate& c) {
    return c.rank_ns && c.seq == latest[{c.kernel_template, c.config_id, c.kind}];
  };
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!eligible(candidates[i])) continue;
    if (!best || Rank(candidates[i]) < Rank(candidates[*best])) best = i;
  }
  if (!best) return std::nullopt;
  const BestCandidate& fastest = candidates[*best];
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (eligible(candidates[i]) && AreTied(candidates[i], fastest) &&
        Name(candidates[i]) < Name(candidates[*best])) {
      best = i;
    }
  }
  return best;
}

std::int64_t TrialsLike(const BestCandidate& best, std::span<const BestCandidate> candidates) {
  return std::ranges::count(candidates, best.kind, &BestCandidate::kind);
}

BestCandidate CandidateOf(const TrialRecord& record) {
  const Trial& judged = record.Judged();
  const bool wrong = IsWrong(record.trial) || std::ranges::any_of(record.confirmations, IsWrong);
  return {.kernel_template = record.kernel_template,
          .config_id = record.config_id,
          .seq = record.seq,
          .kind = judged.kind,
          .confirmed = !record.confirmations.empty(),
          .rank_ns = wrong ? std::nullopt : RankTime(judged)};
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
  std::erase_if(records, [&](const TrialRecord& record) { return !CurrentConfig(task, record); });
  std::vector<BestCandidate> candidates;
  candidates.reserve(records.size());
  for (const TrialRecord& record : records) candidates.push_back(CandidateOf(record));
  const std::optional<std::size_t> best = ChooseBest(candidates);
  if (!best) return std::optional<Best>();
  return std::optional<Best>({.record = std::move(records[*best]),
                              .trials = trials[candidates[*best].kind],
                              .confirmed = candidates[*best].confirmed});
}

}  // namespace kiln
