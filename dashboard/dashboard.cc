#include "dashboard/dashboard.h"

#include <utility>

namespace kiln {

StatusOr<Dashboard> ReadDashboard(const DashboardSources& sources, const JobStore* jobs,
                                  const StoreFile& file, DashboardScope scope,
                                  const DashboardLimits& limits) {
  const TrialStatistics& statistics = sources.statistics;
  Dashboard dashboard;
  ASSIGN_OR_RETURN(const std::vector<TaskActivity> tasks, statistics.Tasks(scope.since_ms));
  ASSIGN_OR_RETURN(const std::vector<LayerFacts> layers, ReadLayers(sources, scope, tasks));
  std::vector<Job> queue;
  std::vector<JobRun> runs;
  if (jobs != nullptr) {
    ASSIGN_OR_RETURN(queue, jobs->Jobs({}));
    ASSIGN_OR_RETURN(runs, jobs->RunsSince(scope.since_ms));
  }
  dashboard.verdict = MakeVerdictView(layers, queue, runs, scope);
  dashboard.layers = MakeLayersView(layers, limits.layers);
  dashboard.changes = MakeChangesView(layers, limits.changes);
  ASSIGN_OR_RETURN(const FailureSummary failures,
                   statistics.Failures(scope.since_ms, limits.failures));
  dashboard.failures = MakeFailuresView(failures, scope);
  ASSIGN_OR_RETURN(const std::vector<DeviceActivity> devices, statistics.Devices(scope.since_ms));
  ASSIGN_OR_RETURN(const std::vector<Repetition> repetitions, statistics.Repetitions());
  dashboard.devices = MakeDevicesView(devices, repetitions, scope.since_ms, limits.devices);
  const std::vector<TaskNames> drawn = CurveTasks(layers, limits.curves);
  ASSIGN_OR_RETURN(std::vector<std::vector<BestSoFarCurve>> curves, statistics.Curves(drawn));
  dashboard.curves = MakeCurvesView(layers, drawn, std::move(curves));
  ASSIGN_OR_RETURN(const TrialStatistics::Sessions sessions,
                   statistics.NewestSessions(limits.sessions));
  ASSIGN_OR_RETURN(std::vector<UnknownWorkload> unknown, sources.store.UnknownWorkloads());
  dashboard.store = MakeStoreView(file, tasks, sessions, std::move(unknown));
  dashboard.scope = std::move(scope);
  return dashboard;
}

}  // namespace kiln
