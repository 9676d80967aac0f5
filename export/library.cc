#include "export/library.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "ops/workload_key.h"

namespace kiln {
namespace {

// Later features are the better ones: the row of the best, from 1.
std::size_t Rank(IsaMask isa) {
  std::size_t rank = 0, row = 0;
  for (const IsaFeatureRow& feature : IsaFeatures()) {
    ++row;
    if (Has(isa, feature.feature)) rank = row;
  }
  return rank;
}

std::string Joined(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

StatusOr<std::vector<Target>> AllLocked(const LockFile& lock) {
  std::set<std::string> names;
  for (const auto& [key, entry] : lock.entries) names.insert(key.target);
  std::vector<Target> targets;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(targets.emplace_back(), LockedTarget(lock, name));
  }
  return targets;
}

Status CheckArchitectures(const std::vector<Target>& targets) {
  std::map<std::string, std::set<std::string>> names;
  for (const Target& target : targets) names[target.arch].insert(target.name);
  if (names.size() <= 1) return absl::OkStatus();
  std::string all;
  for (const auto& [arch, of_it] : names) {
    all += (all.empty() ? "" : "; ") + arch + ": " + Joined(of_it);
  }
  return Error(StatusCode::kInvalidArgument,
               "a library is for one architecture, these targets are of several (", all,
               "): choose with --arch or --target, and export a library for each");
}

Status CheckDistinct(const std::vector<Target>& targets) {
  for (std::size_t i = 1; i < targets.size(); ++i) {
    if (targets[i].isa != targets[i - 1].isa) continue;
    return Error(StatusCode::kInvalidArgument, "the targets ", targets[i - 1].name, " and ",
                 targets[i].name,
                 " need the same instructions, so a program could not tell which it runs on: "
                 "choose one with --target");
  }
  return absl::OkStatus();
}

// How many entries of a target were measured.
std::ptrdiff_t MeasuredEntries(const LockFile& lock, const std::string& target) {
  return std::ranges::count_if(lock.entries, [&](const auto& entry) {
    return entry.first.target == target && entry.second.time &&
           entry.second.time->kind == TimeKind::kMeasured;
  });
}

// Of sorted targets that need the same instructions leaves the one with the most measured entries,
// then the smallest name: whoever did not choose gets a library, the same on every machine.
void KeepDistinct(const LockFile& lock, std::vector<Target>& targets,
                  std::vector<std::string>& notes) {
  std::vector<Target> kept;
  for (Target& target : targets) {
    if (kept.empty() || kept.back().isa != target.isa) {
      kept.push_back(std::move(target));
      continue;
    }
    if (MeasuredEntries(lock, target.name) > MeasuredEntries(lock, kept.back().name)) {
      std::swap(kept.back(), target);
    }
    notes.push_back("the target " + target.name +
                    " is left out: it needs the same instructions as " + kept.back().name +
                    ", of which as much or more is measured; choose with --target");
  }
  targets = std::move(kept);
}

StatusOr<std::vector<Target>> ChooseTargets(const LockFile& lock, const LibraryRequest& request,
                                            std::vector<std::string>& notes) {
  std::vector<Target> targets;
  if (request.targets.empty()) {
    ASSIGN_OR_RETURN(targets, AllLocked(lock));
    if (!request.arch.empty()) {
      std::erase_if(targets, [&](const Target& t) { return t.arch != request.arch; });
    }
  } else {
    const std::set<std::string> names(request.targets.begin(), request.targets.end());
    for (const std::string& name : names) {
      ASSIGN_OR_RETURN(targets.emplace_back(), LockedTarget(lock, name));
      if (request.arch.empty() || targets.back().arch == request.arch) continue;
      return Error(StatusCode::kInvalidArgument, "the target ", name, " is of ",
                   targets.back().arch, ", not of ", request.arch, " (--arch)");
    }
  }
  if (targets.empty()) {
    return Error(StatusCode::kNotFound, "the lock file has no entries",
                 request.arch.empty() ? "" : " for " + request.arch,
                 "; `kiln lock` writes some, or choose with --target");
  }
  RETURN_IF_ERROR(CheckArchitectures(targets));
  std::ranges::sort(targets, [](const Target& a, const Target& b) {
    return std::tuple(Rank(b.isa), b.isa, a.name) < std::tuple(Rank(a.isa), a.isa, b.name);
  });
  if (request.targets.empty()) KeepDistinct(lock, targets, notes);
  RETURN_IF_ERROR(CheckDistinct(targets));
  return targets;
}

// Builds a library workload by workload.
class Planner {
 public:
  Planner(const TemplateRegistry& registry, const LockFile& lock, const LibraryRequest& request)
      : registry_(registry), lock_(lock), request_(request) {}

  StatusOr<Library> Plan() {
    ASSIGN_OR_RETURN(library_.targets, ChooseTargets(lock_, request_, library_.notes));
    library_.arch = library_.targets[0].arch;
    ASSIGN_OR_RETURN(baseline_, BaselineTarget(library_.arch));
    CollectThreads();
    for (const std::string& workload : Workloads()) {
      RETURN_IF_ERROR(AddWorkload(workload));
    }
    if (library_.workloads.empty()) {
      return Error(
          StatusCode::kNotFound, "no kernel to export: ",
          library_.unserved.empty() ? "nothing is locked for these targets" : library_.unserved[0]);
    }
    SortCodes();
    AddLayers();
    return std::move(library_);
  }

 private:
  // A target that the lock file does not have is exported for as many threads as the others.
  void CollectThreads() {
    std::set<std::int32_t> all;
    for (const auto& [key, entry] : lock_.entries) {
      const bool is_wanted =
          request_.threads.empty() || std::ranges::count(request_.threads, key.threads) > 0;
      if (key.cache == request_.cache && is_wanted) threads_[key.target].insert(key.threads);
    }
    for (const Target& target : library_.targets) {
      all.insert(threads_[target.name].begin(), threads_[target.name].end());
    }
    all.insert(request_.threads.begin(), request_.threads.end());
    if (all.empty()) all.insert(1);
    for (const Target& target : library_.targets) {
      if (threads_[target.name].empty()) threads_[target.name] = all;
    }
    most_threads_ = *all.rbegin();
  }

  std::set<std::string> Workloads() const {
    std::set<std::string> workloads;
    for (const Layer& layer : request_.network.layers) workloads.insert(Key(layer.workload));
    if (!workloads.empty()) return workloads;
    for (const auto& [key, entry] : lock_.entries) {
      const bool is_chosen = std::ranges::any_of(
          library_.targets, [&](const Target& target) { return target.name == key.target; });
      if (is_chosen && key.cache == request_.cache) workloads.insert(key.workload);
    }
    return workloads;
  }

  Status AddWorkload(const std::string& workload) {
    const std::size_t before = library_.variants.size();
    bool runs_everywhere = false;
    for (const Target& target : library_.targets) {
      runs_everywhere = runs_everywhere || (target.isa & ~baseline_.isa) == 0;
      for (const std::int32_t threads : threads_.at(target.name)) {
        RETURN_IF_ERROR(AddVariant({workload, target.name, threads, request_.cache}, target));
      }
    }
    if (request_.portable && !runs_everywhere) {
      RETURN_IF_ERROR(
          AddDefault({workload, baseline_.name, most_threads_, request_.cache}, baseline_, ""));
    }
    if (library_.variants.size() > before) {
      library_.workloads.push_back(workload);
    } else {
      library_.unserved.push_back(reason_);
    }
    return absl::OkStatus();
  }

  Status AddVariant(const LockKey& key, const Target& target) {
    const auto found = lock_.entries.find(key);
    if (found == lock_.entries.end()) return AddDefault(key, target, "it is not locked");
    StatusOr<LockedKernel> kernel = LowerEntry(registry_, target, key, found->second);
    if (kernel.ok()) {
      Add(key, found->second, *std::move(kernel),
          found->second.time ? "" : "it is locked as a default");
      return absl::OkStatus();
    }
    const std::size_t before = library_.variants.size();
    RETURN_IF_ERROR(AddDefault(key, target, "stale: " + Message(kernel.status())));
    if (library_.variants.size() > before) library_.variants.back().stale = true;
    return absl::OkStatus();
  }

  Status AddDefault(const LockKey& key, const Target& target, std::string why) {
    StatusOr<LockedKernel> kernel = LowerDefault(registry_, target, key);
    if (kernel.status().code() == StatusCode::kUnimplemented) {
      reason_ = Message(kernel.status());
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(kernel.status());
    const LockEntry entry = EntryOf(*kernel, Origin::kDefault);
    Add(key, entry, *std::move(kernel), std::move(why));
    return absl::OkStatus();
  }

  void Add(const LockKey& key, const LockEntry& entry, LockedKernel kernel, std::string why) {
    const auto [known, is_new] = code_of_.try_emplace(kernel.source.symbol, library_.codes.size());
    if (is_new) library_.codes.push_back({std::move(kernel)});
    library_.variants.push_back({key, entry, known->second, std::move(why)});
  }

  // By symbol, so that their order says nothing of the order in which they were found.
  void SortCodes() {
    std::vector<LibraryCode> sorted;
    std::vector<std::size_t> position(library_.codes.size());
    for (const auto& [symbol, index] : code_of_) {
      position[index] = sorted.size();
      sorted.push_back(library_.codes[index]);
    }
    library_.codes = std::move(sorted);
    for (LibraryVariant& variant : library_.variants) variant.code = position[variant.code];
  }

  void AddLayers() {
    std::map<std::string, std::string> layers;
    for (const Layer& layer : request_.network.layers) {
      const std::string workload = Key(layer.workload);
      if (!std::ranges::binary_search(library_.workloads, workload)) continue;
      const auto [known, is_new] = layers.try_emplace(layer.name, workload);
      if (!is_new && known->second != workload) {
        library_.notes.push_back("two layers are named " + layer.name +
                                 ": the first one is found by it, the other by its key");
      }
    }
    library_.layers.assign(layers.begin(), layers.end());
  }

  const TemplateRegistry& registry_;
  const LockFile& lock_;
  const LibraryRequest& request_;
  Target baseline_;
  std::map<std::string, std::set<std::int32_t>> threads_;
  std::int32_t most_threads_ = 1;
  std::string reason_;                          // why the last workload without a kernel has none
  std::map<std::string, std::size_t> code_of_;  // by symbol
  Library library_;
};

}  // namespace

StatusOr<Library> PlanLibrary(const TemplateRegistry& registry, const LockFile& lock,
                              const LibraryRequest& request) {
  return Planner(registry, lock, request).Plan();
}

LibraryTally TallyOf(const Library& library) {
  LibraryTally tally;
  std::int64_t most = -1;
  for (const LibraryVariant& variant : library.variants) {
    if (variant.entry.time) {
      ++tally.hits;
      tally.unmeasured += variant.entry.time->kind != TimeKind::kMeasured;
      tally.unconfirmed += !variant.entry.time->confirmed;
      continue;
    }
    if (variant.why.empty()) continue;  // a portable one, which nobody asked for
    ++tally.defaults;
    tally.stale += variant.stale;
    const std::int64_t macs = library.codes[variant.code].kernel.task.workload().macs();
    if (macs > most) {
      most = macs;
      tally.largest = &variant;
    }
  }
  return tally;
}

}  // namespace kiln
