#include "rpc_client/device_channels.h"

#include <grpcpp/channel.h>

#include <algorithm>
#include <utility>

#include "proto/transport.h"

namespace kiln {
namespace {

// Devices, not leases: more than a client measures on at a time.
constexpr std::size_t kMostKept = 64;

// One that is trying again after a failure would refuse a call that a new one carries.
bool IsGood(grpc::Channel& channel) {
  const grpc_connectivity_state state = channel.GetState(false);
  return state == GRPC_CHANNEL_READY || state == GRPC_CHANNEL_IDLE;
}

}  // namespace

DeviceChannels::DeviceChannels(TlsFiles tls) : tls_(std::move(tls)) {}
DeviceChannels::~DeviceChannels() = default;

std::shared_ptr<grpc::Channel> DeviceChannels::To(const GrantedLease& lease) {
  std::list<Entry> dropped;  // without the lock
  std::lock_guard lock(mutex_);
  const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.address == lease.address && entry.device == lease.device;
  });
  if (known != entries_.end()) {
    const bool is_good = IsGood(*known->channel);
    std::list<Entry>& place = is_good ? entries_ : dropped;
    place.splice(place.begin(), entries_, known);
    if (is_good) return entries_.front().channel;
  }
  entries_.push_front(
      {lease.address, lease.device, Dial(lease.address, {tls_, DeviceHostName(lease.device)})});
  if (entries_.size() > kMostKept) dropped.splice(dropped.end(), entries_, --entries_.end());
  return entries_.front().channel;
}

std::optional<int> DeviceChannels::Protocol(const std::shared_ptr<grpc::Channel>& channel) {
  std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.channel == channel) return entry.protocol;
  }
  return std::nullopt;
}

void DeviceChannels::SetProtocol(const std::shared_ptr<grpc::Channel>& channel, int protocol) {
  std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.channel == channel) entry.protocol = protocol;
  }
}

void DeviceChannels::Forget(const std::shared_ptr<grpc::Channel>& channel) {
  std::lock_guard lock(mutex_);
  // The caller has it as well, so it does not end here.
  entries_.remove_if([&](const Entry& entry) { return entry.channel == channel; });
}

}  // namespace kiln
