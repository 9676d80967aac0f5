#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/trial_statistics.h"

namespace kiln {

// Question 5, as far as a database knows: what devices did. Whether they are free, hot or drained
// now is a tracker's to say.
struct DevicesView {
  struct Row {
    std::string device;
    std::int64_t measurements = 0, failed = 0, since = 0, failed_since = 0;
    double timed_s = 0, timed_since_s = 0;  // DeviceActivity::timed_ns
    std::int64_t last_ms = 0;
    std::optional<double> hottest_c;  // in that time
    // How its times of configs that it measured again relate to the first ones: the median, in that
    // time where there are any, else ever. Above 1: slower.
    std::optional<double> drift;
    std::int64_t repeated = 0;  // measurements that the median is of
    bool drift_is_recent = false;
  };
  std::vector<Row> rows;  // by measurements in that time, then in all
  std::int64_t left_out = 0;
  std::int64_t never_reached = 0;  // measurements that reached no device, as what does not compile
};
DevicesView MakeDevicesView(const std::vector<DeviceActivity>& devices,
                            const std::vector<Repetition>& repetitions, std::int64_t since_ms,
                            std::size_t limit);

}  // namespace kiln
