#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "benchmarks/farm_load/workloads.h"

namespace kiln::load {
namespace {

constexpr std::chrono::milliseconds kPauseAfterError{20};
constexpr std::chrono::seconds kStopPatience{60};

// A client that keeps as many requests and leases under way as it is told.
class Contender {
 public:
  Contender(Farm& farm, const std::string& name, std::int32_t requests, std::int32_t priority,
            double hold_ms)
      : farm_(farm), hold_(Seconds(hold_ms / 1000)), requests_(requests) {
    LeaseClient& client = farm.AddClient(name);
    LeaseWish wish{farm.options().device.target};
    wish.priority = priority;
    for (std::int32_t i = 0; i < requests; ++i) {
      slots_.push_back(std::make_unique<LeaseSlot>(
          client, wish, [this](LeaseSlot& slot, LeaseSlot::Event event) { On(slot, event); }));
    }
  }
  void Start() {
    running_ = true;
    active_ = slots_.size();
    for (const auto& slot : slots_) slot->Acquire();
  }
  // What waits is still granted, and given back: a cancelled request may leave a lease behind.
  void BeginStop() { running_ = false; }
  bool idle() const { return active_ == 0; }
  void Clear() {
    leases_ = 0;
    held_ = 0;
    waits_.clear();
    errors_.Clear();
  }
  std::int32_t requests() const { return requests_; }
  double leases() const { return static_cast<double>(leases_); }
  double held() const { return held_; }  // seconds of devices
  const std::vector<float>& waits() const { return waits_; }
  const ErrorCounts& errors() const { return errors_; }

 private:
  void On(LeaseSlot& slot, LeaseSlot::Event event) {
    switch (event) {
      case LeaseSlot::Event::kGranted:
        waits_.push_back(
            std::chrono::duration<float, std::milli>(slot.granted() - slot.asked()).count());
        return farm_.loop().After(hold_, [this, &slot] {
          ++leases_;
          held_ += std::chrono::duration<double>(LoadLoop::Now() - slot.granted()).count();
          slot.Release();
        });
      case LeaseSlot::Event::kFailed:
        if (running_) errors_.Add(slot.error());
        return farm_.loop().After(kPauseAfterError, [this, &slot] { Next(slot); });
      case LeaseSlot::Event::kReleased:
      case LeaseSlot::Event::kRenewed:
        return Next(slot);
    }
  }
  void Next(LeaseSlot& slot) {
    if (!running_) {
      --active_;
    } else {
      slot.Acquire();
    }
  }

  Farm& farm_;
  const std::chrono::nanoseconds hold_;
  const std::int32_t requests_;
  std::vector<std::unique_ptr<LeaseSlot>> slots_;
  std::uint64_t leases_ = 0;
  double held_ = 0;
  std::vector<float> waits_;  // for a lease, in ms
  ErrorCounts errors_;
  bool running_ = false;
  std::size_t active_ = 0;
};

bool Compete(Farm& farm, Contender& a, Contender& b) {
  a.Start();
  b.Start();
  bool going = farm.loop().RunFor(Seconds(farm.options().warm_up));
  a.Clear();
  b.Clear();
  going = going && farm.loop().RunFor(Seconds(farm.options().seconds));
  return going;
}

void Stop(Farm& farm, Contender& a, Contender& b) {
  if (LoadLoop::interrupted()) farm.loop().BeginLeaving();
  a.BeginStop();
  b.BeginStop();
  const bool idle = farm.loop().RunUntil([&] { return a.idle() && b.idle(); }, kStopPatience);
  if (!idle) std::_Exit(1);  // timers still refer to the leases
}

void Print(const std::string& contest, const std::string& who, const Contender& one,
           const Contender& other) {
  const auto share = [](double mine, double theirs) {
    return mine + theirs > 0 ? 100 * mine / (mine + theirs) : 0;
  };
  fmt::print("{:24}{:14}{:>9}{:>9.0f}{:>8.1f}%{:>13.2f}{:>8.1f}%{:>10.1f}{:>10.1f}  {}\n", contest,
             who, one.requests(), one.leases(), share(one.leases(), other.leases()), one.held(),
             share(one.held(), other.held()), Quantile(one.waits(), 0.5),
             Quantile(one.waits(), 0.99), one.errors().Describe());
}

}  // namespace

Status RunFairness(Farm& farm, const FairnessOptions& options) {
  RETURN_IF_ERROR(farm.ConnectDevices());
  PrintHeading(farm, "fairness");
  fmt::print("leases are held for {} ms\n", options.hold_ms);
  fmt::print("{:24}{:14}{:>9}{:>9}{:>9}{:>13}{:>9}{:>10}{:>10}  {}\n", "", "client", "requests",
             "leases", "share", "device time", "share", "wait p50", "p99 ms", "errors");
  {
    Contender greedy(farm, "greedy", options.requests * options.factor, 0, options.hold_ms);
    Contender modest(farm, "modest", options.requests, 0, options.hold_ms);
    const bool going = Compete(farm, greedy, modest);
    Print("many requests", "greedy", greedy, modest);
    Print("", "modest", modest, greedy);
    Stop(farm, greedy, modest);
    if (!going) return PrintFaults(farm);
  }
  Contender urgent(farm, "urgent", options.requests, options.priority, options.hold_ms);
  Contender plain(farm, "plain", options.requests, 0, options.hold_ms);
  Compete(farm, urgent, plain);
  Print("priority against none", "urgent", urgent, plain);
  Print("", "plain", plain, urgent);
  Stop(farm, urgent, plain);
  return PrintFaults(farm);
}

}  // namespace kiln::load
