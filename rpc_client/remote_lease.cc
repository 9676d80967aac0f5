#include "rpc_client/remote_lease.h"

#include <chrono>
#include <utility>

#include "proto/device.pb.h"
#include "proto/tls_probe.h"
#include "rpc_client/random_id.h"
#include "rpc_client/run_codec.h"

namespace kiln {
namespace {

constexpr std::chrono::seconds kReleaseTime{2};
constexpr std::chrono::seconds kProbeTime{1};
// For a request that makes no progress though the connection lives: the device may first have to
// wait for a trial of another lease, and try again in a new host.
constexpr std::chrono::seconds kPatience{90};

}  // namespace

RemoteLease::RemoteLease(Reactor& reactor, std::shared_ptr<TrackerClient> tracker,
                         std::shared_ptr<DeviceChannels> channels,
                         std::shared_ptr<Farewells> farewells, const GrantedLease& grant,
                         std::shared_ptr<DeviceTurn> turn)
    : turn_(std::move(turn)),
      tracker_(std::move(tracker)),
      channels_(std::move(channels)),
      farewells_(std::move(farewells)),
      grant_(grant),
      heartbeat_(StartHeartbeat(reactor, *tracker_, grant)) {}

RemoteLease::~RemoteLease() {
  heartbeat_.reset();
  farewells_->Add(tracker_->Release(grant_, kReleaseTime), std::move(stream_));
}

bool RemoteLease::is_wanted_back() const {
  return heartbeat_->is_wanted_back() && !turn_->is_last();
}

StatusOr<RunResult> RemoteLease::Run(const RunRequest& request) {
  RETURN_IF_ERROR(WithDevice(heartbeat_->status()));
  StatusOr<RunResult> result = Measure(request, Sending::kIfNew);
  // The device has thrown the object out to make room for others.
  if (result.status().code() == StatusCode::kNotFound) result = Measure(request, Sending::kAgain);
  return result.ok() ? std::move(result) : WithDevice(result.status());
}

// kNotFound: the device needs the object.
StatusOr<RunResult> RemoteLease::Measure(const RunRequest& request, Sending object) {
  v1::MeasureRequest message = WriteRequest(request);
  message.set_trial_id(RandomId());
  message.set_lease_id(grant_.id);
  message.set_epoch(grant_.epoch);
  const std::shared_ptr<MeasureStream> stream = Stream();
  if (IsNew(request.artifact->object_digest) || object == Sending::kAgain) {
    message.set_object(*request.artifact->object);
  }
  const auto timeout = 2 * std::chrono::nanoseconds(request.plan.time_out_ns) + kPatience;
  StatusOr<v1::MeasureReply> reply = stream->Exchange(std::move(message), timeout);
  if (!reply.ok()) {
    Drop(stream);
    return Explained(reply.status());
  }
  if (reply->has_need_object()) {
    return Error(object == Sending::kAgain ? StatusCode::kInternal : StatusCode::kNotFound,
                 "the device does not keep the object that it was sent");
  }
  return ReadResult(reply->result());
}

std::shared_ptr<MeasureStream> RemoteLease::Stream() {
  std::lock_guard lock(mutex_);
  if (!stream_) {
    channel_ = channels_->To(grant_);
    stream_ = OpenMeasureStream(grant_, channel_);
    sent_.clear();
  }
  return stream_;
}

void RemoteLease::Drop(const std::shared_ptr<MeasureStream>& broken) {
  std::lock_guard lock(mutex_);
  if (stream_ != broken) return;
  stream_.reset();
  channels_->Forget(channel_);
}

bool RemoteLease::IsNew(std::uint64_t object_digest) {
  std::lock_guard lock(mutex_);
  return sent_.insert(object_digest).second;
}

// gRPC's words for a connection that was never made say little.
Status RemoteLease::Explained(const Status& status) const {
  if (status.code() != StatusCode::kUnavailable || !tracker_->tls().enabled()) return status;
  if (IsLostWhileRunning(status)) return status;  // there was one
  const Status why =
      WhyNoConnection(grant_.address, tracker_->tls(), DeviceHostName(grant_.device), kProbeTime);
  return why.ok() ? status : Error(status.code(), Message(why));
}

Status RemoteLease::WithDevice(const Status& status) const {
  if (status.ok()) return status;
  const Status told =
      Error(status.code(), "device ", grant_.device, " at ", grant_.address, ": ", Message(status));
  return IsLostWhileRunning(status) ? LostWhileRunning(told) : told;
}

}  // namespace kiln
