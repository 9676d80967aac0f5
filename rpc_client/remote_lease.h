#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_set>

#include "base/reactor.h"
#include "measure/measurer.h"
#include "rpc_client/device_channels.h"
#include "rpc_client/device_line.h"
#include "rpc_client/farewells.h"
#include "rpc_client/heartbeat.h"
#include "rpc_client/measure_stream.h"
#include "rpc_client/tracker_client.h"

namespace kiln {

// This is a leased device: the heartbeat that keeps it ours, and the stream on which it measures.
// Thread-safe.
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

  StatusOr<RunResult> Run(const RunRequest& request) override;

 private:
  enum class Sending { kIfNew, kAgain };

  StatusOr<RunResult> Measure(const RunRequest& request, Sending object);
  std::shared_ptr<MeasureStream> Stream();
  void Drop(const std::shared_ptr<MeasureStream>& broken);
  bool IsNew(std::uint64_t object_digest);
  Status Explained(const Status& status) const;
  Status WithDevice(const Status& status) const;

  const std::shared_ptr<DeviceTurn> turn_;
  const std::shared_ptr<TrackerClient> tracker_;
  const std::shared_ptr<DeviceChannels> channels_;
  const std::shared_ptr<Farewells> farewells_;
  const GrantedLease grant_;
  std::unique_ptr<Heartbeat> heartbeat_;
  std::mutex mutex_;                        // guards what follows
  std::shared_ptr<grpc::Channel> channel_;  // that stream_ is on
  std::shared_ptr<MeasureStream> stream_;
  std::unordered_set<std::uint64_t> sent_;  // digests of objects that went out on stream_
};

}  // namespace kiln
