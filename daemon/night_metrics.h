#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "daemon/daemon_config.h"
#include "daemon/night_daemon.h"
#include "db/job_store.h"
#include "telemetry/metrics.h"

namespace kiln {

// This counts what happens in a night for Prometheus: an observer among others. All on one thread,
// which also scrapes.
class NightMetrics final : public NightObserver {
 public:
  struct Sources {
    const Clock& clock;
    const JobStore& store;
    std::string database;
    std::function<const DaemonConfig&()> config;
    std::function<std::optional<WallTime>()> last_backup;
  };
  // All must outlive the last scrape.
  NightMetrics(Metrics& metrics, Sources sources);

  void OnTransition(const Job& job) override;
  void OnTunerEvent(const Job& job, const TunerEvent& event) override;
  void OnTick() override {}

 private:
  Status Collect();
  void CollectWindows();
  void CollectFiles();

  Metrics& metrics_;
  const Sources sources_;
  std::map<std::int64_t, JobState> last_;  // of jobs that have not ended
};

}  // namespace kiln
