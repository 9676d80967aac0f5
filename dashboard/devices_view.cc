#include "dashboard/devices_view.h"

#include <algorithm>
#include <map>
#include <utility>

namespace kiln {
namespace {

double MedianOf(std::vector<double>& ratios) {
  const auto middle = ratios.begin() + std::ssize(ratios) / 2;
  std::ranges::nth_element(ratios, middle);
  return *middle;
}

struct Ratios {
  std::vector<double> recent, all;
};

void AddDrift(Ratios& ratios, DevicesView::Row& row) {
  row.drift_is_recent = !ratios.recent.empty();
  std::vector<double>& used = row.drift_is_recent ? ratios.recent : ratios.all;
  if (used.empty()) return;
  row.repeated = std::ssize(used);
  row.drift = MedianOf(used);
}

}  // namespace

DevicesView MakeDevicesView(const std::vector<DeviceActivity>& devices,
                            const std::vector<Repetition>& repetitions, std::int64_t since_ms,
                            std::size_t limit) {
  std::map<std::string, Ratios> ratios;
  for (const Repetition& each : repetitions) {
    const double ratio = each.again_ns / each.first_ns;
    Ratios& of_device = ratios[each.device];
    of_device.all.push_back(ratio);
    if (each.measured_at_ms >= since_ms) of_device.recent.push_back(ratio);
  }
  DevicesView view;
  for (const DeviceActivity& device : devices) {
    if (device.device.empty()) {
      view.never_reached = device.measurements;
      continue;
    }
    DevicesView::Row row{.device = device.device,
                         .measurements = device.measurements,
                         .failed = device.failed,
                         .since = device.since,
                         .failed_since = device.failed_since,
                         .timed_s = device.timed_ns / 1e9,
                         .timed_since_s = device.timed_since_ns / 1e9,
                         .last_ms = device.last_ms};
    if (device.hottest_since_c > 0) row.hottest_c = device.hottest_since_c;
    AddDrift(ratios[device.device], row);
    view.rows.push_back(std::move(row));
  }
  std::ranges::stable_sort(view.rows, std::greater<>(), [](const DevicesView::Row& row) {
    return std::pair(row.since, row.measurements);
  });
  if (view.rows.size() > limit) {
    view.left_out = std::ssize(view.rows) - static_cast<std::int64_t>(limit);
    view.rows.resize(limit);
  }
  return view;
}

}  // namespace kiln
