#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace kiln {

// This is a clock that a test sets: the machine's, plus what a file says, "CIVIL STEADY", both
// milliseconds. A test that lets time pass adds to both, one that sets the clock to the first alone.
// The file is replaced as a whole (rename) and read at every look; without it, the clock goes on as
// it was.
std::unique_ptr<Clock> NewTestClock(const std::string& path);

}  // namespace kiln
