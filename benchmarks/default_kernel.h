#pragma once

#include "base/reactor.h"
#include "base/status.h"
#include "kernels_templates/task.h"
#include "measure/measurer.h"

namespace kiln {

// The task's kernel as it is before anything has been tuned. kInternal: it does not compile.
StatusOr<Artifact> BuildDefault(Reactor& reactor, const Task& task);

}  // namespace kiln
