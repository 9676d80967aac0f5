#include "rpc_tracker/quarantine.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace kiln {

Quarantine::Quarantine(const Options& options, DeviceRecords former, SteadyTime start)
    : options_(options), records_(std::move(former)) {
  for (auto& [name, record] : records_) {
    if (record.until) record.until = std::min(*record.until, start + options_.longest);
  }
}

std::optional<std::chrono::milliseconds> Quarantine::CountFailure(SteadyTime now,
                                                                  const std::string& device,
                                                                  const std::string& owner,
                                                                  const std::string& reason) {
  DeviceRecord& record = records_[device];
  record.owner = owner;
  record.reason = reason;
  ++changes_;
  if (record.failures < std::numeric_limits<std::int32_t>::max()) ++record.failures;
  if (record.failures < options_.tolerated_failures) return std::nullopt;
  std::chrono::milliseconds time = options_.time;
  for (std::int32_t i = options_.tolerated_failures; i < record.failures; ++i) {
    if (time >= options_.longest) break;
    time *= 2;
  }
  time = std::min(time, options_.longest);
  record.until = now + time;
  return time;
}

void Quarantine::Explain(std::string_view device, const std::string& reason) {
  const auto found = records_.find(device);
  if (found == records_.end()) return;
  found->second.reason = reason;
  ++changes_;
}

std::optional<DeviceRecord> Quarantine::Forget(std::string_view device) {
  const auto found = records_.find(device);
  if (found == records_.end()) return std::nullopt;
  ++changes_;
  return std::move(records_.extract(found).mapped());
}

Quarantine::Standing Quarantine::StandingOf(SteadyTime now, std::string_view device) {
  const auto found = records_.find(device);
  if (found == records_.end() || !found->second.until) return Standing::kAdmitted;
  if (*found->second.until > now) return Standing::kApart;
  found->second.until.reset();
  ++changes_;
  return Standing::kReadmitted;
}

const DeviceRecord* Quarantine::Find(std::string_view device) const {
  const auto found = records_.find(device);
  return found == records_.end() ? nullptr : &found->second;
}

}  // namespace kiln
