#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dashboard/stored_bests.h"
#include "db/trial_statistics.h"
#include "db/tuning_store.h"
#include "models/model.h"

namespace kiln {

// What is looked at, from where in time.
struct DashboardScope {
  std::optional<Network> network;  // unset: all that the database has, each workload once
  std::string what;  // how a command line says it: "--network mobilenet_v1"; empty: all
  std::string db;    // the same of the database: "--db FILE"; empty: the usual one
  std::int64_t since_ms = 0, now_ms = 0;  // Unix time: what is new, and what time it is
};

// A knob of a best config that differs from the untuned one's.
struct KnobChange {
  std::string knob, untuned, tuned;
  bool operator==(const KnobChange&) const = default;
};

// What is known of a layer on a target, with a number of threads and a state of the caches. Times
// compare: they are of the device and the kind of the best.
struct LayerFacts {
  TaskNames task;          // its template: of the best, else that of the most trials
  std::string name;        // for people
  std::int32_t count = 1;  // how often the network runs it
  std::optional<StoredBest> best;
  std::vector<KnobChange> knobs;      // that the best has otherwise than the default
  std::optional<Best> former;         // the best before DashboardScope::since_ms
  std::optional<Trial> former_today;  // that config as it is judged there now
  std::int64_t trials = 0, failed = 0, since = 0;
  std::int64_t last_ms = 0;

  std::optional<double> best_ns() const;
  std::optional<double> untuned_ns() const;
  // Whether the best is another one than before, or the first.
  bool is_changed() const;
};

// What answers are made of. Borrows all.
struct DashboardSources {
  const TuningStore& store;
  const TrialStatistics& statistics;
  const TemplateRegistry& registry;
  TargetLookup targets;
};

// Of a network: its layers wherever some of it was tried, those without trials included. Of all:
// what was tried. Sorted by target, threads, caches, then in the order of the network, or by key.
// `tasks`: TrialStatistics::Tasks since then.
StatusOr<std::vector<LayerFacts>> ReadLayers(const DashboardSources& sources,
                                             const DashboardScope& scope,
                                             const std::vector<TaskActivity>& tasks);

}  // namespace kiln
