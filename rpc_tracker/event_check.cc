#include "rpc_tracker/event_check.h"

namespace kiln {
namespace {

template <typename... Parts>
Status Violation(const LeaseEvent& event, const Parts&... parts) {
  return Error(StatusCode::kFailedPrecondition, Name(event.kind), " ", event.lease, " on ",
               event.device, " with epoch ", event.epoch, ": ", parts...);
}

}  // namespace

Status EventCheck::Add(const LeaseEvent& event) {
  switch (event.kind) {
    case LeaseEventKind::kStarted:
      Restarted(event);
      return absl::OkStatus();
    case LeaseEventKind::kOffered:
      return Offered(devices_[event.device], event);
    case LeaseEventKind::kGranted:
    case LeaseEventKind::kAdopted:
      return Held(devices_[event.device], event);
    case LeaseEventKind::kReturned:
      devices_[event.device].offered.clear();
      return absl::OkStatus();
    case LeaseEventKind::kReleased:
    case LeaseEventKind::kExpired:
    case LeaseEventKind::kRevoked:
      return Ended(devices_[event.device], event);
    case LeaseEventKind::kQuarantined:
    case LeaseEventKind::kReadmitted:
      devices_[event.device].quarantined = event.kind == LeaseEventKind::kQuarantined;
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

void EventCheck::Restarted(const LeaseEvent& event) {
  for (auto& [name, device] : devices_) {
    device.before_restart = true;
    device.quarantined = false;
    device.offered.clear();
    if (event.epoch == 0) device.highest = device.granted = 0;
  }
}

Status EventCheck::Offered(Device& device, const LeaseEvent& event) {
  if (event.epoch <= device.highest) {
    return Violation(event, "epoch ", device.highest, " was used before");
  }
  if (!device.lease.empty() && !device.before_restart) {
    return Violation(event, "it holds ", device.lease, " with epoch ", device.epoch);
  }
  if (device.quarantined) return Violation(event, "it is in quarantine");
  if (!device.lease.empty()) holds_.erase(device.lease);
  device = {.lease = {},
            .epoch = event.epoch,
            .offered = event.lease,
            .highest = event.epoch,
            .granted = device.granted};
  return absl::OkStatus();
}

// The lease begins, or goes on after a restart.
Status EventCheck::Held(Device& device, const LeaseEvent& event) {
  const bool adopted = event.kind == LeaseEventKind::kAdopted;
  const bool same =
      device.before_restart && device.lease == event.lease && device.epoch == event.epoch;
  if (!adopted && (device.offered != event.lease || device.epoch != event.epoch)) {
    return Violation(event, "it was not offered");
  }
  // What was offered and never granted may not have reached the device: it brings what it has.
  if (adopted && !same && event.epoch < device.granted) {
    return Violation(event, "epoch ", device.granted, " was used before");
  }
  if (!device.lease.empty() && !device.before_restart) {
    return Violation(event, "it holds ", device.lease, " with epoch ", device.epoch);
  }
  if (!device.lease.empty()) holds_.erase(device.lease);
  const auto [other, added] = holds_.try_emplace(event.lease, event.device);
  if (!added && !devices_[other->second].before_restart) {
    return Violation(event, "the lease is on ", other->second);
  }
  other->second = event.device;
  device.lease = event.lease;
  device.epoch = event.epoch;
  device.offered.clear();
  device.highest = std::max(device.highest, event.epoch);
  device.granted = std::max(device.granted, event.epoch);
  device.before_restart = false;
  return absl::OkStatus();
}

Status EventCheck::Ended(Device& device, const LeaseEvent& event) {
  if (device.lease != event.lease || device.epoch != event.epoch) {
    return Violation(event, "it holds ", device.lease.empty() ? "nothing" : device.lease);
  }
  holds_.erase(device.lease);
  device.lease.clear();
  device.before_restart = false;
  return absl::OkStatus();
}

Status CheckEventLog(std::istream& lines) {
  EventCheck check;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const StatusOr<LeaseEvent> event = ParseLeaseEvent(line);
    const Status status = event.ok() ? check.Add(*event) : event.status();
    if (!status.ok()) return Error(status.code(), "line ", number, ": ", Message(status));
  }
  return absl::OkStatus();
}

}  // namespace kiln
