#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "measure/measurer.h"

namespace kiln {

// Is told of each build, on the thread that asked for it: how long it took, and whether the builder
// could do its work. A kernel that does not compile is no error of the builder.
using BuildObserver = std::function<void(Nanoseconds time, const Status& status)>;

// A Builder that builds with `inner` and tells. The clock must outlive it.
std::unique_ptr<Builder> NewTimedBuilder(std::unique_ptr<Builder> inner, const Clock& clock,
                                         BuildObserver observer);

}  // namespace kiln
