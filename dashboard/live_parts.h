#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dashboard/farm_view.h"
#include "dashboard/queue_view.h"

namespace kiln {

// What a page has that a daemon answers with, beside what its database says.
struct LiveParts {
  QueueView queue;
  std::optional<FarmView> farm;       // unset: it tunes on its own machine
  bool has_token = false;             // whether changes can be made at all
  std::vector<std::string> networks;  // to choose from
  std::string network, since;         // what was chosen; an empty network: all layers
};

}  // namespace kiln
