#include "rpc_client/remote_lease.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "proto/device.pb.h"
#include "rpc_client/greeting.h"
#include "rpc_client/random_id.h"
#include "rpc_client/run_codec.h"

namespace kiln {
namespace {

constexpr std::chrono::seconds kReleaseTime{2};
// For a request that makes no progress though the connection lives: the device may first have to
// wait for a trial of another lease, and try again in a new host.
constexpr std::chrono::seconds kPatience{90};

SteadyTime Now() { return std::chrono::steady_clock::now(); }

// As the tracker takes it: what a peer has said may be anything.
std::string FitForTracker(std::string_view text) {
  std::string fit(text.substr(0, kMaxFaultBytes));
  std::ranges::replace_if(
      fit, [](char c) { return c < ' ' || c > '~'; }, '?');
  return fit;
}

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
  const LeaseOutcome outcome = Outcome();
  turn_->Tell(outcome);
  farewells_->Add(tracker_->Release(grant_, outcome, kReleaseTime), std::move(stream_));
}

bool RemoteLease::is_wanted_back() const {
  return heartbeat_->is_wanted_back() && !turn_->is_last();
}

void RemoteLease::Blame(std::string_view reason) {
  std::lock_guard lock(outcome_mutex_);
  blame_ = FitForTracker(reason);
}

LeaseOutcome RemoteLease::Outcome() const {
  std::lock_guard lock(outcome_mutex_);
  const std::string& fault = blame_.empty() ? fault_ : blame_;
  return {fault, fault.empty() && has_served_};
}

StatusOr<RunResult> RemoteLease::Run(const RunRequest& request) {
  if (const Status over = heartbeat_->status(); !over.ok()) return WithDevice(over.code(), over);
  StatusOr<RunResult> result = MeasureOnce(request);
  const Status status = Judge(result.status());
  return status.ok() ? std::move(result) : status;
}

// Whose fault it is. Not the device's if its lease has ended meanwhile: it only says so.
Status RemoteLease::Judge(const Status& status) {
  const bool is_fault = IsDeviceFault(status.code()) && heartbeat_->status().ok();
  {
    std::lock_guard lock(outcome_mutex_);
    if (status.ok()) {
      fault_.clear();
      has_served_ = true;
    } else if (is_fault) {
      const std::string words = Message(status);
      fault_ = words.empty() ? "it failed without a word" : FitForTracker(words);
    }
  }
  if (status.ok()) return status;
  return WithDevice(IsDeviceFault(status.code()) ? StatusCode::kUnavailable : status.code(),
                    status);
}

StatusOr<RunResult> RemoteLease::MeasureOnce(const RunRequest& request) {
  ASSIGN_OR_RETURN(Answer answer, Measure(request, Sending::kIfNew));
  if (std::holds_alternative<NeedsObject>(answer)) {
    // It has thrown the object out to make room for others.
    ASSIGN_OR_RETURN(answer, Measure(request, Sending::kAgain));
  }
  if (auto* result = std::get_if<RunResult>(&answer)) return std::move(*result);
  return Error(StatusCode::kInternal, "the device does not keep the object that it was sent");
}

StatusOr<RemoteLease::Answer> RemoteLease::Measure(const RunRequest& request, Sending object) {
  v1::MeasureRequest message = WriteRequest(request);
  message.set_trial_id(RandomId());
  message.set_lease_id(grant_.id);
  message.set_epoch(grant_.epoch);
  ASSIGN_OR_RETURN(const std::shared_ptr<MeasureStream> stream, Stream());
  if (IsNew(request.artifact->object_digest) || object == Sending::kAgain) {
    message.set_object(*request.artifact->object);
  }
  const auto timeout = 2 * std::chrono::nanoseconds(request.plan.time_out_ns) + kPatience;
  StatusOr<v1::MeasureReply> reply = stream->Exchange(std::move(message), timeout);
  if (!reply.ok()) {
    Drop(stream);
    return reply.status();
  }
  if (reply->has_need_object()) return Answer(NeedsObject());
  ASSIGN_OR_RETURN(RunResult result, ReadResult(reply->result(), request));
  return Answer(std::move(result));
}

// Those who wait while one of them opens a stream in vain do not try it again, one after the other.
StatusOr<std::shared_ptr<MeasureStream>> RemoteLease::Stream() {
  const SteadyTime asked = Now();
  std::lock_guard lock(mutex_);
  if (stream_) return stream_;
  if (!failure_.ok() && asked <= failed_) return failure_;
  StatusOr<std::shared_ptr<MeasureStream>> stream = OpenStream();
  if (stream.ok()) {
    stream_ = *stream;
  } else {
    failure_ = stream.status();
    failed_ = Now();
  }
  return stream;
}

// The lock is held.
StatusOr<std::shared_ptr<MeasureStream>> RemoteLease::OpenStream() {
  channel_ = channels_->To(grant_);
  std::optional<int> protocol = channels_->Protocol(channel_);
  if (!protocol) {
    const StatusOr<int> greeted = Greet(grant_, channel_, tracker_->tls());
    if (!greeted.ok()) {
      channels_->Forget(channel_);
      return greeted.status();
    }
    protocol = *greeted;
    channels_->SetProtocol(channel_, *protocol);
  }
  sent_.clear();
  return std::shared_ptr<MeasureStream>(OpenMeasureStream(grant_, channel_, *protocol));
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

Status RemoteLease::WithDevice(StatusCode code, const Status& status) const {
  const Status told =
      Error(code, "device ", grant_.device, " at ", grant_.address, ": ", Message(status));
  return IsLostWhileRunning(status) ? LostWhileRunning(told) : told;
}

}  // namespace kiln
