#pragma once

#include <string>

#include "apps/kiln/command.h"

namespace kiln {

// The config that a user names: `default`, an id (16 hex digits), or all knobs as
// name=label,name=label,... A usage error says what there is instead.
StatusOr<Config> FindConfig(const Task& task, const std::string& name);

// `config` with other labels for some knobs, knob=label,knob=label,...: the legal config with them
// that differs in the fewest other knobs. kNotFound names a knob or label that the space does not
// have; kFailedPrecondition: no legal config has them.
StatusOr<Config> WithLabels(const Task& task, const Config& config, const std::string& list);

// "tile_h=1 tile_w=6 ...": for people.
std::string DescribeConfig(const ConfigLabels& labels);

}  // namespace kiln
