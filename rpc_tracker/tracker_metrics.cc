#include "rpc_tracker/tracker_metrics.h"

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace kiln {
namespace {

constexpr char kUnknownTarget[] = "unknown";

double Seconds(Nanoseconds time) { return std::chrono::duration<double>(time).count(); }

class LeaseMetrics final : public EventLog {
 public:
  LeaseMetrics(Metrics& metrics, const Clock& clock, EventLog* next)
      : metrics_(metrics), clock_(clock), next_(next) {
    metrics.AddCollector("leases", [this](Metrics&) {
      Collect();
      return absl::OkStatus();
    });
  }

  void Append(std::vector<LeaseEvent> events) override {
    {
      std::lock_guard lock(mutex_);
      const SteadyTime now = clock_.Now();
      for (const LeaseEvent& event : events) Take(event, now);
    }
    if (next_) next_->Append(std::move(events));
  }

 private:
  struct Waiting {
    std::string target;
    SteadyTime since;
  };

  void Take(const LeaseEvent& event, SteadyTime now) {
    switch (event.kind) {
      case LeaseEventKind::kRegistered:
        return Welcome(event);
      case LeaseEventKind::kForgotten:
        return metrics_.Remove(Metric::kDeviceBusy, {event.device});
      case LeaseEventKind::kWaiting:
        waiting_.try_emplace(event.lease, Waiting{event.target, now});
        return;
      case LeaseEventKind::kGranted:
        Serve(event, now);
        [[fallthrough]];
      case LeaseEventKind::kAdopted:
        leased_.insert_or_assign(event.device, now);
        return;
      case LeaseEventKind::kReleased:
      case LeaseEventKind::kExpired:
      case LeaseEventKind::kRevoked:
        Charge(event.device, now);
        leased_.erase(event.device);
        return CountOutcome(event, Name(event.kind));
      case LeaseEventKind::kWithdrawn:
      case LeaseEventKind::kUnserved:
        waiting_.erase(event.lease);
        return CountOutcome(event, Name(event.kind));
      case LeaseEventKind::kRequestRefused:
        return CountOutcome(event, "refused");
      default:
        return;
    }
  }

  // From the first moment, all series of a target are there.
  void Welcome(const LeaseEvent& event) {
    targets_.insert(event.target);
    metrics_.Count(Metric::kLeases, {event.target, "released"}, 0);
    metrics_.Count(Metric::kDeviceBusy, {event.device}, 0);
  }

  std::string Known(const std::string& target) const {
    return targets_.contains(target) ? target : kUnknownTarget;
  }

  void CountOutcome(const LeaseEvent& event, const char* outcome) {
    metrics_.Count(Metric::kLeases, {Known(event.target), outcome});
  }

  void Serve(const LeaseEvent& event, SteadyTime now) {
    const auto waited = waiting_.extract(event.lease);
    if (!waited) return;
    metrics_.Observe(Metric::kLeaseWait, {Known(event.target)},
                     Seconds(now - waited.mapped().since));
  }

  void Charge(const std::string& device, SteadyTime now) {
    const auto leased = leased_.find(device);
    if (leased == leased_.end()) return;
    metrics_.Count(Metric::kDeviceBusy, {device}, Seconds(now - leased->second));
    leased->second = now;
  }

  // Leases may last for hours.
  void Collect() {
    std::lock_guard lock(mutex_);
    const SteadyTime now = clock_.Now();
    for (const auto& [device, since] : leased_) Charge(device, now);
    // A target that nobody serves may be served a moment later.
    std::map<MetricLabels, double> waiters;
    for (const std::string& target : targets_) waiters[{target}] = 0;
    for (const auto& [lease, waiting] : waiting_) ++waiters[{Known(waiting.target)}];
    metrics_.SetAll(Metric::kLeaseWaiters, {waiters.begin(), waiters.end()});
  }

  Metrics& metrics_;
  const Clock& clock_;
  EventLog* const next_;
  std::mutex mutex_;                          // guards what follows
  std::set<std::string> targets_;             // that devices have had
  std::map<std::string, Waiting> waiting_;    // by lease: asked for and not granted
  std::map<std::string, SteadyTime> leased_;  // by device: not charged since
};

const char* StateOf(DeviceStatus status) {
  switch (status) {
    case DeviceStatus::kOffered:
      return "offered";
    case DeviceStatus::kLeased:
      return "leased";
    case DeviceStatus::kLost:
      return "lost";
    case DeviceStatus::kFree:
    case DeviceStatus::kQuarantined:  // that is its health
      break;
  }
  return "free";
}

const char* HealthOf(const DeviceView& device) {
  if (device.status == DeviceStatus::kQuarantined || device.record.until) return "quarantined";
  return device.record.failures > 0 ? "failing" : "good";
}

}  // namespace

std::unique_ptr<EventLog> NewLeaseMetrics(Metrics& metrics, const Clock& clock, EventLog* next) {
  return std::make_unique<LeaseMetrics>(metrics, clock, next);
}

void SetDeviceMetrics(Metrics& metrics, const std::vector<DeviceView>& devices) {
  std::map<MetricLabels, double> counts;
  for (const DeviceView& device : devices) {
    ++counts[{device.hello.target, StateOf(device.status), HealthOf(device)}];
  }
  metrics.SetAll(Metric::kDevices, {counts.begin(), counts.end()});
}

}  // namespace kiln
