#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "db/tuning_store.h"
#include "kernels_templates/kernel_template.h"

namespace kiln {

// Finds the target of a stored name; nullopt: it is of a machine that nobody here knows.
using TargetLookup = std::function<std::optional<Target>(const std::string& name)>;

// This machine, where that is its name, or a data file. Remembers what it found.
TargetLookup NewTargetLookup();

// The config of who never tunes, and how it does where the best was judged.
struct UntunedConfig {
  ConfigLabels labels;
  std::optional<Trial> judged;  // DefaultBeside()
};

// A best config of the store with what only the program around it can tell.
struct StoredBest {
  Best best;
  std::optional<Workload> workload;  // unless this version cannot read its key
  double gops = 0;                   // from its minimum
  std::optional<double> peak_share;  // of the target's measured peak, if that is known
  // Of the least time that its multiply-accumulates take at that peak (LimitsOfPeak).
  std::optional<double> bound_share;
  // Unset: nobody here knows its target, or its template is gone.
  std::optional<UntunedConfig> untuned;
  std::optional<std::uint64_t> configs;  // how many legal ones there are; likewise
  // Its template is gone, or lowers it to other code today. Never where its target is another
  // machine's `native`, for which nothing can be lowered here.
  bool stale = false;

  std::optional<double> untuned_ns() const;
  std::optional<double> gain() const;  // over that
};

// In the order of `bests`. Costs the enumeration of a space each, where its target is known.
StatusOr<std::vector<StoredBest>> DescribeBests(const TemplateRegistry& registry,
                                                const TargetLookup& targets,
                                                const TuningStore& store, std::vector<Best> bests);

}  // namespace kiln
