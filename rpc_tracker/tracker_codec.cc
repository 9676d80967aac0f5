#include "rpc_tracker/tracker_codec.h"

#include <utility>

#include "proto/tracker.pb.h"
#include "proto/transport.h"

namespace kiln {
namespace {

constexpr std::int64_t kMaxWaitMs = 86'400'000;
// All devices together must fit into the answer of ListDevices.
constexpr std::size_t kMaxHelloBytes = 4096;
constexpr int kMaxIsa = 64, kMaxLabels = 32, kMaxCores = 1 << 20;

// Empty stands for the usual kind.
std::string TimeKindOf(const std::string& text) { return text.empty() ? "measured" : text; }

Status NeedName(const std::string& value, const char* what) {
  if (IsName(value)) return absl::OkStatus();
  return Error(StatusCode::kInvalidArgument, "a request's ", what,
               " has 1..128 printable characters without spaces, this one has ", value.size(),
               " bytes");
}

Status NeedText(const std::string& value, const char* what) {
  if (IsText(value)) return absl::OkStatus();
  return Error(StatusCode::kInvalidArgument, "a device's ", what,
               " has at most 256 bytes without control characters, this one has ", value.size(),
               " bytes");
}

Status CheckHeld(const v1::HeldLease& held) {
  RETURN_IF_ERROR(NeedName(held.lease_id(), "held lease_id"));
  RETURN_IF_ERROR(NeedName(held.client(), "held client"));
  return held.owner().empty() ? absl::OkStatus() : NeedName(held.owner(), "held owner");
}

Status CheckHello(const v1::DeviceHello& message) {
  RETURN_IF_ERROR(CheckProtocol(message.protocol(), "the device", "the tracker"));
  if (const std::size_t bytes = message.ByteSizeLong(); bytes > kMaxHelloBytes) {
    return Error(StatusCode::kInvalidArgument, "a device's hello has at most ", kMaxHelloBytes,
                 " bytes, this one has ", bytes, ": give it fewer or shorter labels");
  }
  RETURN_IF_ERROR(NeedName(message.name(), "name"));
  RETURN_IF_ERROR(NeedName(message.target(), "target"));
  RETURN_IF_ERROR(NeedName(message.instance(), "instance"));
  RETURN_IF_ERROR(NeedName(TimeKindOf(message.time_kind()), "time_kind"));
  RETURN_IF_ERROR(NeedText(message.build(), "build"));
  RETURN_IF_ERROR(NeedText(message.address(), "address"));
  if (!message.address().empty()) RETURN_IF_ERROR(CheckAddress(message.address()));
  if (message.cores() < 1 || message.cores() > kMaxCores) {
    return Error(StatusCode::kInvalidArgument, "a device has at least one core, not ",
                 message.cores());
  }
  if (message.isa_size() > kMaxIsa || message.labels_size() > kMaxLabels) {
    return Error(StatusCode::kInvalidArgument, "a device has at most ", kMaxIsa, " features and ",
                 kMaxLabels, " labels, this one ", message.isa_size(), " and ",
                 message.labels_size());
  }
  for (const std::string& feature : message.isa()) RETURN_IF_ERROR(NeedName(feature, "feature"));
  for (const auto& [key, value] : message.labels()) {
    RETURN_IF_ERROR(NeedName(key, "label"));
    RETURN_IF_ERROR(NeedText(value, "label's value"));
  }
  return message.has_held() ? CheckHeld(message.held()) : absl::OkStatus();
}

v1::DeviceEntry::State ToProto(DeviceStatus status) {
  switch (status) {
    case DeviceStatus::kFree:
      return v1::DeviceEntry::STATE_FREE;
    case DeviceStatus::kOffered:
      return v1::DeviceEntry::STATE_OFFERED;
    case DeviceStatus::kLeased:
      return v1::DeviceEntry::STATE_LEASED;
    case DeviceStatus::kLost:
      return v1::DeviceEntry::STATE_LOST;
    case DeviceStatus::kQuarantined:
      return v1::DeviceEntry::STATE_QUARANTINED;
  }
  return v1::DeviceEntry::STATE_UNSPECIFIED;
}

}  // namespace

StatusOr<DeviceHello> ReadHello(const v1::DeviceHello& message, const Peer& peer) {
  RETURN_IF_ERROR(CheckHello(message));
  if (peer.principal && peer.principal->name != message.name()) {
    return Error(StatusCode::kPermissionDenied, "the certificate is that of device ",
                 peer.principal->name, ", which is its name here: it cannot register as ",
                 message.name());
  }
  DeviceHello hello;
  hello.name = message.name();
  hello.owner = peer.party();
  hello.authenticated = peer.principal.has_value();
  hello.instance = message.instance();
  hello.target = message.target();
  hello.isa.assign(message.isa().begin(), message.isa().end());
  hello.cores = message.cores();
  hello.labels.insert(message.labels().begin(), message.labels().end());
  hello.address = ReachableAddress(message.address(), peer.connection);
  hello.build = message.build();
  hello.highest_epoch = message.highest_epoch();
  hello.time_kind = TimeKindOf(message.time_kind());
  if (message.has_held()) {
    const v1::HeldLease& held = message.held();
    hello.held = HeldLease{held.lease_id(), held.client(), held.epoch(), held.owner()};
  }
  return hello;
}

StatusOr<LeaseRequest> ReadAcquire(const v1::AcquireLeaseRequest& message, const Peer& peer) {
  RETURN_IF_ERROR(CheckProtocol(message.protocol(), "the client", "the tracker"));
  RETURN_IF_ERROR(NeedName(message.lease_id(), "lease_id"));
  RETURN_IF_ERROR(NeedName(message.client(), "client"));
  RETURN_IF_ERROR(NeedName(message.target(), "target"));
  RETURN_IF_ERROR(NeedName(TimeKindOf(message.time_kind()), "time_kind"));
  if (message.wait_ms() < 0 || message.wait_ms() > kMaxWaitMs) {
    return Error(StatusCode::kInvalidArgument, "a request waits for 0..", kMaxWaitMs,
                 " ms, not for ", message.wait_ms());
  }
  LeaseRequest request;
  request.id = message.lease_id();
  request.party = peer.party();
  request.client = message.client();
  request.target = message.target();
  request.priority = message.priority();
  request.wait = std::chrono::milliseconds(message.wait_ms());
  request.time_kind = TimeKindOf(message.time_kind());
  return request;
}

Status CheckRenew(const v1::RenewLeaseRequest& message) {
  RETURN_IF_ERROR(NeedName(message.lease_id(), "lease_id"));
  return NeedName(message.device(), "device");
}

Status CheckRelease(const v1::ReleaseLeaseRequest& message) {
  RETURN_IF_ERROR(NeedName(message.lease_id(), "lease_id"));
  RETURN_IF_ERROR(NeedText(message.fault(), "fault"));
  return message.device().empty() ? absl::OkStatus() : NeedName(message.device(), "device");
}

LeaseReport ReadReport(const v1::ReleaseLeaseRequest& message) {
  return {message.fault(), message.served()};
}

v1::DeviceEntry WriteEntry(const DeviceView& view, SteadyTime now) {
  v1::DeviceEntry entry;
  entry.set_name(view.hello.name);
  entry.set_target(view.hello.target);
  entry.mutable_isa()->Add(view.hello.isa.begin(), view.hello.isa.end());
  entry.set_cores(view.hello.cores);
  entry.mutable_labels()->insert(view.hello.labels.begin(), view.hello.labels.end());
  entry.set_address(view.hello.address);
  entry.set_build(view.hello.build);
  entry.set_state(ToProto(view.status));
  entry.set_client(view.client);
  entry.set_epoch(view.epoch);
  entry.set_time_kind(view.hello.time_kind);
  entry.set_failures(view.record.failures);
  entry.set_fault(view.record.reason);
  if (view.record.until && *view.record.until > now) {
    entry.set_retry_ms(
        std::chrono::ceil<std::chrono::milliseconds>(*view.record.until - now).count());
  }
  return entry;
}

v1::DeviceCommand WriteGrant(const SendGrant& grant) {
  v1::DeviceCommand command;
  command.mutable_grant()->set_lease_id(grant.lease.id);
  command.mutable_grant()->set_client(grant.lease.client);
  command.mutable_grant()->set_epoch(grant.lease.epoch);
  command.mutable_grant()->set_owner(grant.lease.owner);
  return command;
}

v1::DeviceCommand WriteRevoke(const SendRevoke& revoke) {
  v1::DeviceCommand command;
  command.mutable_revoke()->set_epoch(revoke.epoch);
  return command;
}

}  // namespace kiln
