#pragma once

#include <string>
#include <vector>

#include "dashboard/changes_view.h"
#include "dashboard/curves_view.h"
#include "dashboard/devices_view.h"
#include "dashboard/failures_view.h"
#include "dashboard/layer_facts.h"
#include "dashboard/layers_view.h"
#include "dashboard/store_view.h"
#include "dashboard/verdict_view.h"

namespace kiln {

// The answers to the questions of a morning that a database has; docs/looking.md.
struct Dashboard {
  DashboardScope scope;
  VerdictView verdict;
  LayersView layers;
  ChangesView changes;
  FailuresView failures;  // of the whole database, as are those below but the curves
  DevicesView devices;
  CurvesView curves;
  StoreView store;
};

// How much of each is shown; what is left out is counted.
struct DashboardLimits {
  std::size_t layers = 80, changes = 60, failures = 40, devices = 60, curves = 24, sessions = 12;
};

// Reads all of it, each question of a state of its own while others write. `jobs`: null, where there
// is no queue.
StatusOr<Dashboard> ReadDashboard(const DashboardSources& sources, const JobStore* jobs,
                                  const StoreFile& file, DashboardScope scope,
                                  const DashboardLimits& limits = {});

}  // namespace kiln
