#pragma once

#include "base/status.h"
#include "daemon/job_spec.h"
#include "models/model.h"

namespace kiln {

// The network that a job names: a built-in one, or what is in its files now, whatever their digest.
// kNotFound, kInvalidArgument: one line that says what is wrong, and what there is. kNotFound also
// where there is no layer that Kiln tunes.
StatusOr<Network> NetworkOf(const JobNetwork& network);

}  // namespace kiln
