#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace kiln {

// One alert rule of a file: its expression, and the labels that its texts name.
struct AlertRule {
  std::string name, expression;
  std::vector<std::string> named_labels;
};

// Of a file whose expressions are on one line each. kInvalidArgument: one is not.
StatusOr<std::vector<AlertRule>> ReadRules(const std::string& path);

// Ok if the catalogue has every metric that the rule names, with the labels that it names, and these
// can have the values that it compares them with. kInvalidArgument: what is wrong.
Status CheckRule(const AlertRule& rule);

}  // namespace kiln
