#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dashboard/layer_facts.h"
#include "dashboard/summed_time.h"
#include "db/job_store.h"

namespace kiln {

// Question 1: did the night work?
struct VerdictView {
  // The time of the layers in one place, of one kind of times.
  struct Place {
    std::string setting;  // "native, 1 thread"
    TimeKind kind = TimeKind::kMeasured;
    SummedTime time;     // untuned and best
    SummedTime tonight;  // the best before, as judged now, and the best
    std::int64_t with_best = 0, confirmed = 0, stale = 0, changed = 0;
  };
  std::vector<Place> places;  // the one with the most layers first

  std::int64_t trials = 0, failed = 0, since = 0;  // of the layers

  // Of the jobs that ended or ran in that time.
  std::int64_t done = 0, failed_jobs = 0, ended_otherwise = 0, unfinished = 0;
  std::int64_t used_ms = 0;               // in which jobs ran
  std::vector<std::string> failed_words;  // of those that failed, newest first, the first few

  std::string headline;  // the verdict in a sentence
};

// `jobs` and `runs`: all that there is of the time in question; may have more.
VerdictView MakeVerdictView(const std::vector<LayerFacts>& layers, const std::vector<Job>& jobs,
                            const std::vector<JobRun>& runs, const DashboardScope& scope);

}  // namespace kiln
