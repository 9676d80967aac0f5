#include <fmt/format.h>

#include <memory>
#include <vector>

#include "benchmarks/farm_load/workloads.h"

namespace kiln::load {
namespace {

constexpr std::chrono::seconds kLeasePatience{60};

// All devices leased; each client goes round its leases, `depth` renewals at a time.
class RenewalLoad {
 public:
  RenewalLoad(Farm& farm, const RenewalsOptions& options) : farm_(farm), depth_(options.depth) {
    const LeaseWish wish{farm.options().device.target};
    const auto clients = static_cast<std::size_t>(farm.options().clients);
    rounds_.resize(clients);
    for (std::size_t i = 0; i < clients; ++i) {
      names_.push_back(&farm.AddClient(fmt::format("load-{:03}", i + 1)));
    }
    for (std::int32_t i = 0; i < farm.options().devices; ++i) {
      const std::size_t owner = static_cast<std::size_t>(i) % clients;
      rounds_[owner].slots.push_back(std::make_unique<LeaseSlot>(
          *names_[owner], wish, [this, owner](LeaseSlot& slot, LeaseSlot::Event event) {
            On(rounds_[owner], slot, event);
          }));
    }
  }

  // Leases everything, a request per client at a time.
  Status Lease() {
    for (Round& round : rounds_) {
      if (!round.slots.empty()) round.slots[0]->Acquire();
    }
    const auto all = static_cast<std::size_t>(farm_.options().devices);
    if (farm_.loop().RunUntil([&] { return leased_ == all; }, kLeasePatience)) {
      return absl::OkStatus();
    }
    return Error(StatusCode::kUnavailable, "leased ", leased_, " of ", all,
                 " devices; errors: ", errors_.Describe());
  }
  void Start() {
    running_ = true;
    for (Round& round : rounds_) {
      for (std::int32_t i = 0; i < depth_; ++i) Next(round);
    }
  }
  // Ends the renewals, then the leases.
  bool Stop() {
    running_ = false;
    if (!AwaitIdle()) return false;
    for (Round& round : rounds_) {
      for (const auto& slot : round.slots) {
        if (slot->granted() != SteadyTime()) slot->Release();
      }
    }
    return AwaitIdle();
  }
  void Cancel() {
    running_ = false;
    for (Round& round : rounds_) {
      for (const auto& slot : round.slots) slot->Cancel();
    }
    AwaitIdle();
  }
  void Clear() {
    latencies_.clear();
    errors_.Clear();
  }
  const std::vector<float>& latencies() const { return latencies_; }
  const ErrorCounts& errors() const { return errors_; }

 private:
  struct Round {
    std::vector<std::unique_ptr<LeaseSlot>> slots;
    std::size_t next = 0;
  };
  void On(Round& round, LeaseSlot& slot, LeaseSlot::Event event) {
    if (event == LeaseSlot::Event::kFailed && running_) errors_.Add(slot.error());
    if (event == LeaseSlot::Event::kGranted) {
      ++leased_;
      if (++round.next < round.slots.size()) round.slots[round.next]->Acquire();
    }
    if (!running_) return;
    if (event == LeaseSlot::Event::kRenewed) {
      latencies_.push_back(
          std::chrono::duration<float, std::milli>(LoadLoop::Now() - slot.began()).count());
    }
    Next(round);
  }
  void Next(Round& round) {
    // With few leases and a great depth all may be under way.
    for (std::size_t tried = 0; tried < round.slots.size(); ++tried) {
      LeaseSlot& slot = *round.slots[round.next++ % round.slots.size()];
      if (!slot.busy()) return slot.Renew();
    }
  }
  bool AwaitIdle() {
    return farm_.loop().RunUntil(
        [this] {
          for (const Round& round : rounds_) {
            for (const auto& slot : round.slots) {
              if (slot->busy()) return false;
            }
          }
          return true;
        },
        kLeasePatience);
  }

  Farm& farm_;
  const std::int32_t depth_;
  std::vector<LeaseClient*> names_;
  std::vector<Round> rounds_;  // by client
  std::size_t leased_ = 0;
  bool running_ = false;
  std::vector<float> latencies_;  // in ms
  ErrorCounts errors_;
};

}  // namespace

Status RunRenewals(Farm& farm, const RenewalsOptions& options) {
  RETURN_IF_ERROR(farm.ConnectDevices());
  RenewalLoad load(farm, options);
  Status status = load.Lease();
  if (status.ok()) {
    PrintHeading(farm, "renewals");
    load.Start();
    farm.loop().RunFor(Seconds(farm.options().warm_up));
    load.Clear();
    const Meter meter(farm.tracker());
    farm.loop().RunFor(Seconds(farm.options().seconds));
    const Meter::Reading reading = meter.Read();
    const auto count = static_cast<double>(load.latencies().size());
    fmt::print("{:>12}{:>9}{:>9}{:>22}{:>9}{:>12}{:>9}\n", "renewals/s", "p50 ms", "p99 ms",
               "us of CPU: tracker", "load", "cores busy", "load");
    fmt::print("{:>12.0f}{:>9.2f}{:>9.2f}{:>22.1f}{:>9.1f}{:>12.2f}{:>9.2f}\n",
               count / reading.seconds, Quantile(load.latencies(), 0.5),
               Quantile(load.latencies(), 0.99), reading.tracker.total() * 1e6 / count,
               reading.own.total() * 1e6 / count, reading.tracker.total() / reading.seconds,
               reading.own.total() / reading.seconds);
    fmt::print("errors: {}\n", load.errors().Describe());
  }
  farm.loop().BeginLeaving();
  if (!status.ok() || !load.Stop()) load.Cancel();
  const Status faults = PrintFaults(farm);
  return status.ok() ? faults : status;
}

}  // namespace kiln::load
