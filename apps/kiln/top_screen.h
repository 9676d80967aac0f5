#pragma once

#include <functional>
#include <string>

#include "apps/kiln/top_sources.h"
#include "base/clock.h"
#include "base/status.h"

namespace kiln {

// Shows what the sources say on the whole terminal, and does as the keys say, until a person has
// seen enough, `stop` says so, or the terminal is gone. It is left as it was. `title` says what is
// looked at. kFailedPrecondition: there is no terminal that this could be shown on.
Status ShowTop(const TopSources& sources, const Clock& clock, const std::function<bool()>& stop,
               const std::string& title);

}  // namespace kiln
