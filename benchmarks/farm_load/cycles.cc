#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/farm_load/workloads.h"

namespace kiln::load {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPauseAfterError{20};
constexpr std::chrono::seconds kStopPatience{60};

float Milliseconds(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<float, std::milli>(to - from).count();
}

// One slot per client, each in a closed loop until Stop().
class CycleLoad {
 public:
  CycleLoad(Farm& farm, const std::vector<LeaseClient*>& clients) : farm_(farm) {
    const LeaseWish wish{farm.options().device.target};
    for (LeaseClient* client : clients) {
      slots_.push_back(std::make_unique<LeaseSlot>(
          *client, wish, [this](LeaseSlot& slot, LeaseSlot::Event event) { On(slot, event); }));
    }
  }
  void Start() {
    running_ = true;
    active_ = slots_.size();
    for (const auto& slot : slots_) slot->Acquire();
  }
  bool Stop() {
    running_ = false;
    return farm_.loop().RunUntil([this] { return active_ == 0; }, kStopPatience);
  }
  void Cancel() {
    running_ = false;
    for (const auto& slot : slots_) slot->Cancel();
    farm_.loop().BeginLeaving();
    farm_.loop().RunUntil([this] { return active_ == 0; }, kStopPatience);
  }
  void Clear() {
    cycle_.clear();
    acquire_.clear();
    release_.clear();
    errors_.Clear();
  }
  const std::vector<float>& cycle() const { return cycle_; }
  const std::vector<float>& acquire() const { return acquire_; }
  const std::vector<float>& release() const { return release_; }
  const ErrorCounts& errors() const { return errors_; }

 private:
  void On(LeaseSlot& slot, LeaseSlot::Event event) {
    switch (event) {
      case LeaseSlot::Event::kGranted:
        acquire_.push_back(Milliseconds(slot.asked(), slot.granted()));
        return slot.Release();
      case LeaseSlot::Event::kReleased: {
        const SteadyTime now = LoadLoop::Now();
        release_.push_back(Milliseconds(slot.granted(), now));
        cycle_.push_back(Milliseconds(slot.asked(), now));
        return Next(slot);
      }
      case LeaseSlot::Event::kFailed:
        if (running_) errors_.Add(slot.error());
        return farm_.loop().After(kPauseAfterError, [this, &slot] { Next(slot); });
      case LeaseSlot::Event::kRenewed:
        break;
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
  std::vector<std::unique_ptr<LeaseSlot>> slots_;
  std::vector<float> cycle_, acquire_, release_;  // latencies in ms
  ErrorCounts errors_;
  bool running_ = false;
  std::size_t active_ = 0;
};

// Requests that nobody will ever serve.
class WaitingCrowd {
 public:
  WaitingCrowd(Farm& farm, const std::vector<LeaseClient*>& clients, std::int32_t count)
      : farm_(farm) {
    const LeaseWish wish{"unserved"};
    for (std::int32_t i = 0; i < count; ++i) {
      LeaseClient& client = *clients[static_cast<std::size_t>(i) % clients.size()];
      slots_.push_back(
          std::make_unique<LeaseSlot>(client, wish, [this](LeaseSlot& slot, LeaseSlot::Event) {
            --waiting_;
            if (!leaving_) errors_.Add(slot.error());
          }));
    }
    waiting_ = slots_.size();
    for (const auto& slot : slots_) slot->Acquire();
  }
  std::size_t waiting() const { return waiting_; }
  const ErrorCounts& errors() const { return errors_; }
  void Leave() {
    leaving_ = true;
    for (const auto& slot : slots_) slot->Cancel();
    farm_.loop().RunUntil([this] { return waiting_ == 0; }, kStopPatience);
  }

 private:
  Farm& farm_;
  std::vector<std::unique_ptr<LeaseSlot>> slots_;
  std::size_t waiting_ = 0;
  bool leaving_ = false;
  ErrorCounts errors_;
};

// One row of the table.
struct Row {
  double rate = 0, p50 = 0, p99 = 0, most = 0;
  double acquire_p50 = 0, acquire_p99 = 0, release_p50 = 0, release_p99 = 0;
  double tracker_us = 0, own_us = 0;        // of processor time per cycle
  double tracker_share = 0, own_share = 0;  // of one core
};
constexpr double Row::*kRowMembers[] = {&Row::rate,        &Row::p50,           &Row::p99,
                                        &Row::most,        &Row::acquire_p50,   &Row::acquire_p99,
                                        &Row::release_p50, &Row::release_p99,   &Row::tracker_us,
                                        &Row::own_us,      &Row::tracker_share, &Row::own_share};

Row MedianOf(const std::vector<Row>& rows) {
  Row median;
  for (const auto member : kRowMembers) {
    std::vector<double> values;
    for (const Row& row : rows) values.push_back(row.*member);
    median.*member = Median(std::move(values));
  }
  return median;
}

void Print(const std::string& name, const Row& row) {
  fmt::print(
      "{:22}{:>10.0f}{:>9.2f}{:>9.2f}{:>9.1f}{:>9.2f}{:>8.2f}{:>9.2f}{:>8.2f}{:>10.0f}{:>10.0f}"
      "{:>9.2f}{:>9.2f}\n",
      name, row.rate, row.p50, row.p99, row.most, row.acquire_p50, row.acquire_p99, row.release_p50,
      row.release_p99, row.tracker_us, row.own_us, row.tracker_share, row.own_share);
}

// nullopt: interrupted.
std::optional<Row> Measure(Farm& farm, CycleLoad& load) {
  if (!farm.loop().RunFor(Seconds(farm.options().warm_up))) return std::nullopt;
  load.Clear();
  const Meter meter(farm.tracker());
  if (!farm.loop().RunFor(Seconds(farm.options().seconds))) return std::nullopt;
  const Meter::Reading reading = meter.Read();
  const auto cycles = static_cast<double>(load.cycle().size());
  Row row;
  row.rate = cycles / reading.seconds;
  row.p50 = Quantile(load.cycle(), 0.5);
  row.p99 = Quantile(load.cycle(), 0.99);
  row.most = Quantile(load.cycle(), 1);
  row.acquire_p50 = Quantile(load.acquire(), 0.5);
  row.acquire_p99 = Quantile(load.acquire(), 0.99);
  row.release_p50 = Quantile(load.release(), 0.5);
  row.release_p99 = Quantile(load.release(), 0.99);
  row.tracker_share = reading.tracker.total() / reading.seconds;
  row.own_share = reading.own.total() / reading.seconds;
  row.tracker_us = cycles > 0 ? reading.tracker.total() * 1e6 / cycles : 0;
  row.own_us = cycles > 0 ? reading.own.total() * 1e6 / cycles : 0;
  return row;
}

}  // namespace

Status RunCycles(Farm& farm, const CyclesOptions& options) {
  RETURN_IF_ERROR(farm.ConnectDevices());
  std::vector<LeaseClient*> clients, crowd_clients;
  for (std::int32_t i = 1; i <= farm.options().clients; ++i) {
    clients.push_back(&farm.AddClient(fmt::format("load-{:03}", i)));
  }
  if (options.waiting > 0) {
    for (std::int32_t i = 1; i <= options.waiting_clients; ++i) {
      crowd_clients.push_back(&farm.AddClient(fmt::format("waits-{:03}", i)));
    }
  }
  CycleLoad load(farm, clients);
  std::vector<Row> without, with;
  std::string without_errors = "none", with_errors = "none", crowd_errors = "none";
  std::size_t still_waiting = 0;
  load.Start();
  farm.loop().RunFor(milliseconds(300));
  PrintHeading(farm, "cycles");
  for (std::int32_t round = 0; round < options.rounds; ++round) {
    const std::optional<Row> alone = Measure(farm, load);
    if (!alone) break;
    without.push_back(*alone);
    if (load.errors().total() != 0) without_errors = load.errors().Describe();
    if (options.waiting == 0) continue;
    WaitingCrowd crowd(farm, crowd_clients, options.waiting);
    const std::optional<Row> crowded = Measure(farm, load);
    if (crowded) {
      with.push_back(*crowded);
      if (load.errors().total() != 0) with_errors = load.errors().Describe();
      still_waiting = crowd.waiting();
      if (crowd.errors().total() != 0) crowd_errors = crowd.errors().Describe();
    } else {
      farm.loop().BeginLeaving();
    }
    crowd.Leave();
    if (!crowded) break;
  }
  if (!load.Stop()) load.Cancel();

  fmt::print("{:22}{:>10}{:>9}{:>9}{:>9}{:>17}{:>17}{:>20}{:>18}\n", "", "", "cycle", "cycle",
             "cycle", "acquire", "release", "us of CPU per cycle", "cores busy");
  fmt::print("{:22}{:>10}{:>9}{:>9}{:>9}{:>9}{:>8}{:>9}{:>8}{:>10}{:>10}{:>9}{:>9}\n", "",
             "cycles/s", "p50 ms", "p99 ms", "max ms", "p50 ms", "p99 ms", "p50 ms", "p99 ms",
             "tracker", "load", "tracker", "load");
  if (!without.empty()) Print("nobody else waits", MedianOf(without));
  if (!with.empty()) {
    Print(fmt::format("{} others wait", still_waiting), MedianOf(with));
    fmt::print("ratio                 {:>10.3f}\n", MedianOf(with).rate / MedianOf(without).rate);
    fmt::print("errors of those who wait: {}\n", crowd_errors);
  }
  fmt::print("errors of cycles: {}{}\n", without_errors,
             with.empty() ? "" : "; with others: " + with_errors);
  return PrintFaults(farm);
}

}  // namespace kiln::load
