#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dashboard/layer_facts.h"
#include "db/trial_statistics.h"

namespace kiln {

// Question 4: what failed, how often, is it new, and how does one see it?
struct FailuresView {
  struct Row {
    Stage stage = Stage::kRun;
    FailureKind kind = FailureKind::kRuntimeError;
    std::string message;  // its first line, shortened
    std::int64_t count = 0, since = 0, last_ms = 0;
    bool is_new = false;        // it never happened before
    std::string layer, device;  // of the latest
    std::string command;        // that makes the latest again
  };
  std::vector<Row> rows;                                          // by count
  std::int64_t groups = 0, new_groups = 0, count = 0, since = 0;  // of all
  std::int64_t left_out = 0;                                      // groups
};
FailuresView MakeFailuresView(const FailureSummary& failures, const DashboardScope& scope);

}  // namespace kiln
