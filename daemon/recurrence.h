#pragma once

#include <span>
#include <vector>

#include "base/clock.h"
#include "daemon/daemon_config.h"
#include "db/job_store.h"

namespace kiln {

// The jobs that the series have to have now: for each whose window is open, one that is named by the
// local date of the window's start, so that clocks that change or are set make no second one and
// skip none. A series of which a job has not ended yet has none: that one goes on. `unfinished` are
// the jobs that have not ended. Submitting one again is harmless.
std::vector<NewJob> DueOccurrences(std::span<const JobSeries> series,
                                   std::span<const Job> unfinished, const DaemonConfig& config,
                                   WallTime now);

}  // namespace kiln
