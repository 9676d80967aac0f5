#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <variant>

#include "base/clock.h"
#include "base/reactor.h"
#include "measure/measurer.h"
#include "rpc_client/device_channels.h"
#include "rpc_client/device_line.h"
#include "rpc_client/farewells.h"
#include "rpc_client/heartbeat.h"
#include "rpc_client/measure_stream.h"
#include "rpc_client/tracker_client.h"

namespace kiln {

// This is a leased device: the heartbeat that keeps it ours, and the stream on which it measures. It
// remembers what was wrong with the device, and says so when it gives it back: what failed last, unless
// a run after it went well, or what it was blamed for. Thread-safe.
class RemoteLease final : public Lease {
 public:
  // The reactor must outlive the lease. `turn` goes when the device is given back.
  RemoteLease(Reactor& reactor, std::shared_ptr<TrackerClient> tracker,
              std::shared_ptr<DeviceChannels> channels, std::shared_ptr<Farewells> farewells,
              const GrantedLease& grant, std::shared_ptr<DeviceTurn> turn);
  ~RemoteLease() override;  // begins to give the device back

  std::string_view device() const override { return grant_.device; }
  TimeKind kind() const override { return grant_.time_kind; }
  bool is_wanted_back() const override;
  void Blame(std::string_view reason) override;

  // Whatever the device, or the way to it, is at fault for is kUnavailable, with its name and address
  // in the words.
  StatusOr<RunResult> Run(const RunRequest& request) override;

 private:
  enum class Sending { kIfNew, kAgain };

  // The device does not have the object.
  struct NeedsObject {};
  using Answer = std::variant<RunResult, NeedsObject>;

  StatusOr<Answer> Measure(const RunRequest& request, Sending object);
  StatusOr<RunResult> MeasureOnce(const RunRequest& request);
  StatusOr<std::shared_ptr<MeasureStream>> Stream();
  StatusOr<std::shared_ptr<MeasureStream>> OpenStream();
  void Drop(const std::shared_ptr<MeasureStream>& broken);
  bool IsNew(std::uint64_t object_digest);
  Status Judge(const Status& status);
  Status WithDevice(StatusCode code, const Status& status) const;
  LeaseOutcome Outcome() const;

  const std::shared_ptr<DeviceTurn> turn_;
  const std::shared_ptr<TrackerClient> tracker_;
  const std::shared_ptr<DeviceChannels> channels_;
  const std::shared_ptr<Farewells> farewells_;
  const GrantedLease grant_;
  std::unique_ptr<Heartbeat> heartbeat_;
  mutable std::mutex outcome_mutex_;  // guards what follows
  std::string fault_;                 // of the last run; empty: none
  std::string blame_;                 // what others have said
  bool has_served_ = false;
  std::mutex mutex_;   // guards what follows; held while a stream is opened, which may take seconds
  Status failure_;     // of the last attempt to open one
  SteadyTime failed_;  // when
  std::shared_ptr<grpc::Channel> channel_;  // that stream_ is on
  std::shared_ptr<MeasureStream> stream_;
  std::unordered_set<std::uint64_t> sent_;  // digests of objects that went out on stream_
};

}  // namespace kiln
