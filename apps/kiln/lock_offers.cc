#include "apps/kiln/lock_offers.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "apps/command_line/command_line.h"
#include "base/standard_streams.h"
#include "db/best_choice.h"
#include "export/locked_kernel.h"
#include "ops/target.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

// A scope with targets instead of words for them.
struct ResolvedScope {
  // Each with the numbers of threads that it is locked for, unless --threads says which.
  std::vector<std::pair<Target, std::set<std::int32_t>>> targets;
  CacheState cache = CacheState::kHot;
};

// --target may name one that only the lock file knows: `native` of another machine.
StatusOr<Target> TargetFor(const LockFile& lock, const std::string& option) {
  const auto described = lock.targets.find(option);
  if (described != lock.targets.end()) return described->second;
  return TargetOption(option);
}

StatusOr<ResolvedScope> ResolveScope(const LockScope& scope, const LockFile& lock) {
  ResolvedScope resolved;
  resolved.cache = scope.cache == "cold" ? CacheState::kCold : CacheState::kHot;
  std::set<std::string> names(scope.targets.begin(), scope.targets.end());
  if (names.empty()) {
    for (const auto& [key, entry] : lock.entries) names.insert(key.target);
  }
  if (names.empty()) names.insert("native");
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const Target target, TargetFor(lock, name));
    std::set<std::int32_t> threads(scope.threads.begin(), scope.threads.end());
    for (const auto& [key, entry] : lock.entries) {
      if (scope.threads.empty() && key.target == target.name) threads.insert(key.threads);
    }
    if (threads.empty()) threads.insert(1);
    resolved.targets.emplace_back(target, std::move(threads));
  }
  return resolved;
}

// Described in the lock file, unless every Kiln has a data file for it.
void DescribeTarget(const Target& target, LockFile& lock) {
  const StatusOr<std::vector<Target>> known = KnownTargets();
  const bool is_known = known.ok() && std::ranges::any_of(*known, [&](const Target& t) {
                          return t.name == target.name;
                        });
  if (!is_known) lock.targets.try_emplace(target.name, target);
}

LockEntry EntryOf(const Best& best) {
  const auto& timings = std::get<Timings>(best.judged.outcome);
  return {.kernel_template = best.record.kernel_template,
          .labels = best.record.labels,
          .code_digest = best.record.trial.code_digest,
          .origin = Origin::kTuned,
          .time = LockedTime{.min_ns = timings.min_ns(),
                             .kind = best.judged.kind,
                             .confirmed = best.confirmed,
                             .device = best.judged.device,
                             .uuid = best.judged.uuid}};
}

// What the store says of a locked config.
struct StoredJudgement {
  std::optional<double> ns;  // on the device of a best
  bool fails = false;        // it gave a wrong result once, or none when last measured
};

StatusOr<StoredJudgement> JudgementOf(const TuningStore& store, const LockKey& key,
                                      const LockEntry& locked, const LockedTime* best) {
  ASSIGN_OR_RETURN(const auto records, store.Records({.workload = key.workload,
                                                      .target = key.target,
                                                      .threads = key.threads,
                                                      .cache = key.cache}));
  std::vector<BestCandidate> candidates;
  for (const TrialRecord& record : records) {
    if (record.trial.code_digest != locked.code_digest ||
        record.kernel_template != locked.kernel_template) {
      continue;
    }
    AddCandidates(0, record, candidates);
  }
  StoredJudgement judgement;
  judgement.fails = !candidates.empty() && std::ranges::none_of(candidates, [](const auto& c) {
    return c.rank_ns.has_value();
  });
  for (const BestCandidate& candidate : candidates) {
    if (best == nullptr || candidate.device != best->device || candidate.kind != best->kind) {
      continue;
    }
    judgement.ns = candidate.rank_ns;
    judgement.fails = judgement.fails || !candidate.rank_ns;
  }
  return judgement;
}

// Makes offers one by one.
class Offers {
 public:
  Offers(const TemplateRegistry& registry, const TuningStore& store, const LockFile& lock)
      : registry_(registry), store_(store), lock_(lock) {}

  Status Add(const LockKey& key, const Target& target) {
    const StatusOr<LockedKernel> fallback = LowerDefault(registry_, target, key);
    if (fallback.status().code() == StatusCode::kUnimplemented) {
      WriteError(fmt::format("not locked: {}\n", Message(fallback.status())));
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(fallback.status());
    LockOffer offer{.key = key, .fallback = kiln::EntryOf(*fallback, Origin::kDefault), .best = {}};
    ASSIGN_OR_RETURN(const std::optional<Best> best, BestFor(store_, fallback->task, key.cache));
    if (best) offer.best = EntryOf(*best);
    const auto locked = lock_.entries.find(key);
    if (locked != lock_.entries.end()) {
      offer.stale = !LowerEntry(registry_, target, key, locked->second).ok();
      ASSIGN_OR_RETURN(
          const StoredJudgement judgement,
          JudgementOf(store_, key, locked->second, offer.best ? &*offer.best->time : nullptr));
      offer.locked_ns = judgement.ns;
      offer.refuted = judgement.fails;
    }
    offers_.push_back(std::move(offer));
    return absl::OkStatus();
  }

  std::vector<LockOffer> Take() { return std::move(offers_); }

 private:
  const TemplateRegistry& registry_;
  const TuningStore& store_;
  const LockFile& lock_;
  std::vector<LockOffer> offers_;
};

// The keys that --all means: what the store has for the targets of the scope.
StatusOr<std::set<LockKey>> StoredKeys(const TuningStore& store, const LockScope& scope,
                                       const ResolvedScope& resolved) {
  std::set<LockKey> keys;
  for (const auto& [target, threads_of] : resolved.targets) {
    ASSIGN_OR_RETURN(const std::vector<Best> bests,
                     store.Bests({.target = target.name, .cache = resolved.cache}));
    for (const Best& best : bests) {
      const std::int32_t threads = best.record.threads;
      const bool wanted = scope.threads.empty() || std::ranges::count(scope.threads, threads) > 0;
      if (wanted && ParseWorkload(best.record.workload).ok()) {
        keys.insert({best.record.workload, target.name, threads, resolved.cache});
      }
    }
  }
  return keys;
}

}  // namespace

void AddLockScope(CLI::App& command, LockScope& scope) {
  command
      .add_option("--target", scope.targets,
                  "for these targets (default: those of the lock file, else this machine)")
      ->type_name("NAME");
  command
      .add_option("--threads", scope.threads,
                  "for so many threads (default: as in the lock file, else 1)")
      ->check(CLI::Range(kThreadCounts.least, kThreadCounts.most))
      ->type_name("N");
  command.add_option("--cache", scope.cache, "state of the caches: hot (default) or cold")
      ->check(CLI::IsMember({"hot", "cold"}));
}

StatusOr<std::vector<LockKey>> WantedOf(const Network& network, const LockScope& scope,
                                        const LockFile& lock) {
  ASSIGN_OR_RETURN(const ResolvedScope resolved, ResolveScope(scope, lock));
  std::vector<LockKey> keys;
  for (const auto& [target, all_threads] : resolved.targets) {
    for (const std::int32_t threads : all_threads) {
      for (const WeightedWorkload& unique : UniqueWorkloads(network)) {
        keys.push_back({Key(unique.workload), target.name, threads, resolved.cache});
      }
    }
  }
  return keys;
}

StatusOr<std::vector<LockOffer>> OffersFor(const TemplateRegistry& registry,
                                           const TuningStore& store, const Network& network,
                                           bool all, const LockScope& scope, LockFile& lock) {
  ASSIGN_OR_RETURN(const ResolvedScope resolved, ResolveScope(scope, lock));
  std::set<LockKey> keys;
  if (all) {
    ASSIGN_OR_RETURN(keys, StoredKeys(store, scope, resolved));
  } else if (!network.layers.empty()) {
    ASSIGN_OR_RETURN(const std::vector<LockKey> wanted, WantedOf(network, scope, lock));
    keys.insert(wanted.begin(), wanted.end());
  } else {
    for (const auto& [key, entry] : lock.entries) {
      const bool wanted =
          (scope.threads.empty() || std::ranges::count(scope.threads, key.threads) > 0) &&
          (scope.cache.empty() || key.cache == resolved.cache);
      if (wanted) keys.insert(key);
    }
  }
  Offers offers(registry, store, lock);
  for (const auto& [target, threads] : resolved.targets) {
    for (const LockKey& key : keys) {
      if (key.target == target.name) RETURN_IF_ERROR(offers.Add(key, target));
    }
    DescribeTarget(target, lock);
  }
  return offers.Take();
}

std::string MendCommand(const Mending& mending) {
  const What& what = mending.what;
  const LockKey& key = mending.key;
  std::string words;
  if (!what.model.empty()) {
    words = "--model " + ShellWord(what.model);
  } else if (!what.network.empty()) {
    words = "--network " + what.network;
  } else {
    // Layer lists may be read with options; a key says everything.
    words = "--workload " + key.workload;
  }
  words += fmt::format(" --target {} --threads {}{}", ShellWord(key.target), key.threads,
                       key.cache == CacheState::kCold ? " --cache cold" : "");
  if (!mending.db.empty()) words += " --db " + ShellWord(mending.db);
  std::string command = "kiln tune " + words;
  if (!mending.lock.empty()) {
    command += fmt::format(" && kiln lock {} --update -o {}", words, ShellWord(mending.lock));
  }
  return command;
}

}  // namespace kiln
