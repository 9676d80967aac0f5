#pragma once

#include <string>

#include "dashboard/dashboard.h"

namespace kiln {

// The dashboard as one HTML file that needs nothing else: no script, no network, light and dark,
// for screens of any width and for paper. Every view has words, also where there is nothing to show.
std::string RenderReport(const Dashboard& dashboard);

}  // namespace kiln
