#include "benchmarks/farm_load/lease_clients.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "proto/transport.h"

namespace kiln::load {
namespace {

const char* CodeName(int code) {
  static constexpr std::array<const char*, 17> kNames = {"OK",
                                                         "CANCELLED",
                                                         "UNKNOWN",
                                                         "INVALID_ARGUMENT",
                                                         "DEADLINE_EXCEEDED",
                                                         "NOT_FOUND",
                                                         "ALREADY_EXISTS",
                                                         "PERMISSION_DENIED",
                                                         "RESOURCE_EXHAUSTED",
                                                         "FAILED_PRECONDITION",
                                                         "ABORTED",
                                                         "OUT_OF_RANGE",
                                                         "UNIMPLEMENTED",
                                                         "INTERNAL",
                                                         "UNAVAILABLE",
                                                         "DATA_LOSS",
                                                         "UNAUTHENTICATED"};
  return code >= 0 && code < static_cast<int>(kNames.size()) ? kNames[code] : "?";
}

}  // namespace

void LeaseLedger::Granted(const v1::AcquireLeaseReply& reply, SteadyTime now) {
  // The tracker counts the lease's time from when it heard the device: not before that was said.
  const std::optional<SteadyTime> acknowledged =
      devices_.Acknowledged(reply.device(), reply.lease_id(), reply.epoch());
  if (!acknowledged) ++faults_.unacknowledged;
  if (const auto former = until_.find(reply.device());
      former != until_.end() && acknowledged && former->second > *acknowledged) {
    ++faults_.held_twice;
  }
  until_[reply.device()] = acknowledged.value_or(now) + std::chrono::milliseconds(reply.ttl_ms());
}

std::string LeaseClient::NewId() { return fmt::format("{:016x}{:016x}", ids_.Next(), ids_.Next()); }

LeaseSlot::LeaseSlot(LeaseClient& client, const LeaseWish& wish, Handler handler)
    : client_(client),
      handler_(std::move(handler)),
      acquire_(client.channel(), "/kiln.v1.Tracker/AcquireLease", [this] { OnAcquired(); }),
      renew_(client.channel(), "/kiln.v1.Tracker/RenewLease", [this] { OnRenewed(); }),
      release_(client.channel(), "/kiln.v1.Tracker/ReleaseLease", [this] { OnReleased(); }) {
  v1::AcquireLeaseRequest& request = acquire_.request();
  request.set_protocol(kProtocolVersion);
  request.set_client(client_.name());
  request.set_target(wish.target);
  request.set_priority(wish.priority);
  request.set_wait_ms(wish.wait.count());
}

void LeaseSlot::Acquire() {
  acquire_.request().set_lease_id(client_.NewId());
  asked_ = LoadLoop::Now();
  acquire_.Start();
}

void LeaseSlot::Renew() {
  renew_.request().set_lease_id(acquire_.reply().lease_id());
  renew_.request().set_device(device());
  renew_.request().set_epoch(acquire_.reply().epoch());
  began_ = LoadLoop::Now();
  renew_.Start();
}

void LeaseSlot::Release() {
  client_.ledger().Released(device());
  release_.request().set_lease_id(acquire_.reply().lease_id());
  release_.request().set_device(device());
  release_.request().set_epoch(acquire_.reply().epoch());
  release_.Start();
}

void LeaseSlot::Cancel() {
  acquire_.Cancel();
  renew_.Cancel();
  release_.Cancel();
}

bool LeaseSlot::busy() const {
  return acquire_.under_way() || renew_.under_way() || release_.under_way();
}

void LeaseSlot::OnAcquired() {
  if (!acquire_.status().ok()) return Fail(acquire_.status());
  granted_ = LoadLoop::Now();
  if (acquire_.reply().lease_id() != acquire_.request().lease_id()) {
    client_.ledger().CountWrongReply();
  }
  client_.ledger().Granted(acquire_.reply(), granted_);
  handler_(*this, Event::kGranted);
}

void LeaseSlot::OnRenewed() {
  if (!renew_.status().ok()) return Fail(renew_.status());
  const std::chrono::milliseconds ttl(renew_.reply().ttl_ms());
  client_.ledger().Renewed(device(), began_ + ttl);
  handler_(*this, Event::kRenewed);
}

void LeaseSlot::OnReleased() {
  if (!release_.status().ok()) return Fail(release_.status());
  handler_(*this, Event::kReleased);
}

void LeaseSlot::Fail(const Status& status) {
  error_ = status;
  handler_(*this, Event::kFailed);
}

void ErrorCounts::Add(const Status& status) {
  ++total_;
  auto& [count, example] = by_code_[static_cast<int>(status.code())];
  if (count++ == 0) example = Message(status);
}

std::string ErrorCounts::Describe() const {
  std::string text;
  for (const auto& [code, errors] : by_code_) {
    text += fmt::format("{}{} {} ({})", text.empty() ? "" : "; ", errors.first, CodeName(code),
                        errors.second);
  }
  return text.empty() ? "none" : text;
}

}  // namespace kiln::load
