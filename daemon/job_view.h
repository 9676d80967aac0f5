#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "daemon/daemon_config.h"
#include "db/job_store.h"

namespace kiln {

// When a job will be done, if all goes on as it does now.
struct JobForecast {
  std::optional<WallTime> done;  // unset: there is no telling
  std::string why;               // one line: what it is made of, or why there is none
};

// From its pace so far (or that of the last jobs of its target), the trials that it still has to make, the
// jobs before it in its lane, its window and its deadline. `jobs` are all that have not ended.
JobForecast ForecastOf(const Job& job, const std::vector<Job>& jobs,
                       const std::vector<JobRun>& runs, const DaemonConfig& config, WallTime now);

// What is running comes first, then what is next but for fair shares.
void SortForPeople(std::vector<Job>& jobs);

// All that there is to say of a job.
struct JobView {
  Job job;
  std::optional<JobForecast> forecast = {};
  std::vector<JobTransition> history = {};
  std::vector<JobRun> runs = {};
};

// A JSON object on one line: docs/night.md, "A job as JSON".
std::string JobJson(const JobView& view);

}  // namespace kiln
