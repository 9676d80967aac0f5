#include "rpc_server/device_metrics.h"

#include <algorithm>
#include <cctype>
#include <mutex>
#include <optional>
#include <utility>

#include "kernel_host/device_state.h"

namespace kiln {
namespace {

double Seconds(Nanoseconds time) { return std::chrono::duration<double>(time).count(); }

// As the store has it: "ok", "wrong_result".
std::string StatusWord(const Outcome& outcome) {
  if (std::holds_alternative<Timings>(outcome)) return "ok";
  if (std::holds_alternative<Censored>(outcome)) return "censored";
  std::string word = Name(std::get<Failure>(outcome).kind);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

class CountingHost final : public HostProcess {
 public:
  CountingHost(std::unique_ptr<HostProcess> host, const DeviceIdentity& identity, Metrics& metrics,
               const Clock& clock)
      : host_(std::move(host)), identity_(identity), metrics_(metrics), clock_(clock) {
    metrics.Count(Metric::kTrials, {identity_.target, Name(identity_.time_kind), "ok"}, 0);
    metrics.Count(Metric::kDeviceBusy, {identity_.name}, 0);
    // An emulated device has no sensors of its own.
    if (identity_.time_kind != TimeKind::kMeasured) return;
    metrics.AddCollector("the device", [this](Metrics&) {
      ShowState();
      return absl::OkStatus();
    });
  }

  HostReply Run(const HostRequest& request, const std::stop_token& stop) override {
    const SteadyTime begin = clock_.Now();
    SetRunning(true);
    HostReply reply = host_->Run(request, stop);
    SetRunning(false);
    metrics_.Count(Metric::kDeviceBusy, {identity_.name}, Seconds(clock_.Now() - begin));
    if (reply.objection.empty() && !stop.stop_requested()) CountTrial(reply);
    return reply;
  }

  StatusOr<HostDescription> Describe() override { return host_->Describe(); }

 private:
  void CountTrial(const HostReply& reply) {
    metrics_.Count(Metric::kTrials,
                   {identity_.target, Name(identity_.time_kind), StatusWord(reply.outcome)});
    const std::chrono::duration<double> now = clock_.Today().time_since_epoch();
    metrics_.Set(Metric::kDeviceLastTrial, {identity_.name}, now.count());
  }

  void SetRunning(bool running) {
    std::lock_guard lock(mutex_);
    running_ = running;
    if (!running || !state_) state_ = Read();
  }

  DeviceState Read() {
    return sensors_.Read(identity_.cores.empty() ? 0 : identity_.cores.front());
  }

  void ShowState() {
    std::lock_guard lock(mutex_);
    if (!running_ || !state_) state_ = Read();
    Show(Metric::kDeviceTemperature, state_->temperature_c);
    Show(Metric::kDeviceFrequency, state_->frequency_mhz * 1e6);
  }
  // Zero is what a machine does not say.
  void Show(Metric metric, double value) {
    if (value == 0) return metrics_.Remove(metric, {identity_.name});
    metrics_.Set(metric, {identity_.name}, value);
  }

  const std::unique_ptr<HostProcess> host_;
  const DeviceIdentity identity_;
  Metrics& metrics_;
  const Clock& clock_;
  std::mutex mutex_;  // guards what follows
  DeviceSensors sensors_;
  bool running_ = false;
  std::optional<DeviceState> state_;
};

}  // namespace

std::unique_ptr<HostProcess> WithMetrics(std::unique_ptr<HostProcess> host,
                                         const DeviceIdentity& identity, Metrics& metrics,
                                         const Clock& clock) {
  return std::make_unique<CountingHost>(std::move(host), identity, metrics, clock);
}

}  // namespace kiln
