#include "rpc_tracker/lease_table.h"

#include <algorithm>

#include "proto/device_stock.h"

namespace kiln {
LeaseTable::LeaseTable(const LeaseTableOptions& options, SteadyTime start)
    : options_(options), start_(start) {}

StatusOr<SessionId> LeaseTable::Register(SteadyTime now, DeviceHello hello) {
  Device& device = devices_[hello.name];
  if (device.session != 0 && device.hello.instance != hello.instance) {
    return Error(StatusCode::kAlreadyExists, "a device named ", hello.name,
                 " is connected already (it serves ", device.hello.address,
                 "): give this one another --name");
  }
  if (device.session != 0) {  // it noticed the broken connection before we did
    const SessionId old = device.session;
    Drop(now, device);
    actions_.push_back(EndSession{old, Error(StatusCode::kAborted, "the device has reconnected")});
  }
  Adopt(now, device, hello);
  device.hello = std::move(hello);
  device.session = ++last_session_;
  const SessionId session = device.session;
  Match(now);
  return session;
}

// Brings what we know of a device's lease together with what it says.
void LeaseTable::Adopt(SteadyTime now, Device& device, const DeviceHello& hello) {
  const auto* ours = std::get_if<Leased>(&device.use);
  const std::optional<HeldLease>& held = hello.held;
  const std::uint64_t known = device.epoch;
  device.epoch = std::max(known, hello.highest_epoch);
  if (ours && held && held->id == ours->lease.id && held->epoch == ours->lease.epoch) return;
  device.use = std::monostate();
  if (!held) return;
  // A lease that we have never heard of was granted before our restart; one that we know, but not
  // as the present one, ended while the device was away.
  if (held->epoch > known) {
    device.use = Leased{*held, now + options_.ttl};
  } else {
    actions_.push_back(SendRevoke{last_session_ + 1, held->epoch});
  }
}

void LeaseTable::Disconnect(SteadyTime now, SessionId session) {
  if (Device* device = FindSession(session)) {
    Drop(now, *device);
    Match(now);
  }
}

// The session ends. A request that was being offered goes back to its place; a lease lives on.
void LeaseTable::Drop(SteadyTime now, Device& device) {
  device.session = 0;
  device.lost_since = now;
  if (auto* offered = std::get_if<Offered>(&device.use)) {
    Waiting waiting = std::move(offered->waiting);
    device.use = std::monostate();
    Enqueue(std::move(waiting));
  }
}

void LeaseTable::Acknowledge(SteadyTime now, SessionId session, std::uint64_t epoch) {
  Device* device = FindSession(session);
  if (!device || epoch != device->epoch) return;
  auto* offered = std::get_if<Offered>(&device->use);
  if (!offered) return;
  const LeaseRequest request = std::move(offered->waiting.request);
  device->use = Leased{{request.id, request.client, epoch}, now + options_.ttl};
  actions_.push_back(AnswerRequest{request.id, device->Grant(request.id, epoch)});
}

void LeaseTable::Request(SteadyTime now, const LeaseRequest& request) {
  const SteadyTime deadline = now + request.wait;
  if (Waiting* waiting = FindWaiting(request.id)) {
    waiting->deadline = deadline;
    return;
  }
  for (auto& [name, device] : devices_) {
    auto* leased = std::get_if<Leased>(&device.use);
    if (!leased || leased->lease.id != request.id) continue;
    leased->deadline = now + options_.ttl;
    actions_.push_back(AnswerRequest{request.id, device.Grant(request.id, leased->lease.epoch)});
    return;
  }
  Enqueue({request, ++last_arrival_, deadline});
  Match(now);
  if (request.wait.count() <= 0) Tick(now);
}

void LeaseTable::Cancel(SteadyTime now, std::string_view id) {
  std::erase_if(queue_, [&](const Waiting& waiting) { return waiting.request.id == id; });
  for (auto& [name, device] : devices_) {
    const auto* offered = std::get_if<Offered>(&device.use);
    const auto* leased = std::get_if<Leased>(&device.use);
    if ((offered && offered->waiting.request.id == id) || (leased && leased->lease.id == id)) {
      EndLease(device);
    }
  }
  Match(now);
}

Status LeaseTable::Renew(SteadyTime now, std::string_view name, std::string_view id,
                         std::uint64_t epoch) {
  if (Device* device = FindLease(name, id, epoch)) {
    std::get<Leased>(device->use).deadline = now + options_.ttl;
    return absl::OkStatus();
  }
  const auto device = devices_.find(name);
  const bool known = device != devices_.end() && device->second.epoch >= epoch;
  if (!known && now - start_ < options_.ttl) {
    return Error(StatusCode::kUnavailable, "the tracker has just started and ", name,
                 " is not back yet");
  }
  return Error(StatusCode::kFailedPrecondition, "the lease of ", name, " with epoch ", epoch,
               " is over: it expired, or the device restarted; take another");
}

void LeaseTable::Release(SteadyTime now, std::string_view name, std::string_view id,
                         std::uint64_t epoch) {
  if (Device* device = FindLease(name, id, epoch)) {
    EndLease(*device);
    Match(now);
  }
}

// The device may serve it no longer. Its epoch stays used.
void LeaseTable::EndLease(Device& device) {
  device.use = std::monostate();
  if (device.session != 0) actions_.push_back(SendRevoke{device.session, device.epoch});
}

void LeaseTable::Tick(SteadyTime now) {
  for (auto& [name, device] : devices_) Expire(now, device);
  std::erase_if(devices_, [&](const auto& entry) {
    const Device& device = entry.second;
    return device.session == 0 && std::holds_alternative<std::monostate>(device.use) &&
           now - device.lost_since >= options_.forget_lost;
  });
  Match(now);
  for (auto it = queue_.begin(); it != queue_.end();) {
    if (it->deadline > now) {
      ++it;
      continue;
    }
    actions_.push_back(AnswerRequest{it->request.id, NoDevice(it->request)});
    it = queue_.erase(it);
  }
}

void LeaseTable::Expire(SteadyTime now, Device& device) {
  if (const auto* leased = std::get_if<Leased>(&device.use); leased && leased->deadline <= now) {
    EndLease(device);
  }
  if (const auto* offered = std::get_if<Offered>(&device.use);
      offered && offered->deadline <= now) {
    const SessionId session = device.session;
    Drop(now, device);
    actions_.push_back(EndSession{
        session, Error(StatusCode::kDeadlineExceeded, "the device did not acknowledge epoch ",
                       device.epoch, " within ", DescribeTime(options_.ack_timeout))});
  }
}

std::optional<SteadyTime> LeaseTable::NextTick() const {
  std::optional<SteadyTime> next;
  const auto consider = [&](SteadyTime time) { next = next ? std::min(*next, time) : time; };
  for (const Waiting& waiting : queue_) consider(waiting.deadline);
  for (const auto& [name, device] : devices_) {
    if (const auto* offered = std::get_if<Offered>(&device.use)) consider(offered->deadline);
    if (const auto* leased = std::get_if<Leased>(&device.use)) {
      consider(leased->deadline);
    } else if (device.session == 0) {
      consider(device.lost_since + options_.forget_lost);
    }
  }
  return next;
}

std::vector<LeaseAction> LeaseTable::TakeActions() { return std::exchange(actions_, {}); }

std::vector<DeviceView> LeaseTable::Devices() const {
  std::vector<DeviceView> views;
  for (const auto& [name, device] : devices_) {
    DeviceView view{device.hello, DeviceStatus::kFree, "", device.epoch};
    if (const auto* offered = std::get_if<Offered>(&device.use)) {
      view.status = DeviceStatus::kOffered;
      view.client = offered->waiting.request.client;
    } else if (const auto* leased = std::get_if<Leased>(&device.use)) {
      view.status = DeviceStatus::kLeased;
      view.client = leased->lease.client;
    }
    if (device.session == 0) view.status = DeviceStatus::kLost;
    views.push_back(std::move(view));
  }
  return views;
}

LeaseTable::Device* LeaseTable::FindSession(SessionId session) {
  for (auto& [name, device] : devices_) {
    if (session != 0 && device.session == session) return &device;
  }
  return nullptr;
}

LeaseTable::Device* LeaseTable::FindLease(std::string_view name, std::string_view id,
                                          std::uint64_t epoch) {
  const auto device = devices_.find(name);
  if (device == devices_.end()) return nullptr;
  const auto* leased = std::get_if<Leased>(&device->second.use);
  const bool same = leased && leased->lease.id == id && leased->lease.epoch == epoch;
  return same ? &device->second : nullptr;
}

LeaseTable::Waiting* LeaseTable::FindWaiting(std::string_view id) {
  for (Waiting& waiting : queue_) {
    if (waiting.request.id == id) return &waiting;
  }
  for (auto& [name, device] : devices_) {
    auto* offered = std::get_if<Offered>(&device.use);
    if (offered && offered->waiting.request.id == id) return &offered->waiting;
  }
  return nullptr;
}

// Priority first, then arrival.
void LeaseTable::Enqueue(Waiting waiting) {
  const auto before = [](const Waiting& a, const Waiting& b) {
    return std::pair(-std::int64_t{a.request.priority}, a.arrival) <
           std::pair(-std::int64_t{b.request.priority}, b.arrival);
  };
  queue_.insert(std::upper_bound(queue_.begin(), queue_.end(), waiting, before),
                std::move(waiting));
}

// Whether a request can be given this device at all.
bool LeaseTable::Fits(const LeaseRequest& request, const DeviceHello& hello) {
  return request.target == hello.target && request.time_kind == hello.time_kind;
}

// Offers every free device to the first that waits for one like it.
void LeaseTable::Match(SteadyTime now) {
  for (auto& [name, device] : devices_) {
    if (device.session == 0 || !std::holds_alternative<std::monostate>(device.use)) continue;
    const auto first = std::find_if(
        queue_.begin(), queue_.end(),
        [&device = device](const Waiting& waiting) { return Fits(waiting.request, device.hello); });
    if (first == queue_.end()) continue;
    Waiting waiting = std::move(*first);
    queue_.erase(first);
    Grant(now, device, std::move(waiting));
  }
}

void LeaseTable::Grant(SteadyTime now, Device& device, Waiting waiting) {
  ++device.epoch;
  actions_.push_back(
      SendGrant{device.session, {waiting.request.id, waiting.request.client, device.epoch}});
  device.use = Offered{std::move(waiting), now + options_.ack_timeout};
}

Status LeaseTable::NoDevice(const LeaseRequest& request) const {
  DeviceStock stock(request.target, request.time_kind);
  for (const DeviceView& view : Devices()) {
    stock.Add(view.hello.target, view.hello.time_kind, view.client,
              view.status == DeviceStatus::kLost);
  }
  return stock.NoDevice(request.wait);
}

}  // namespace kiln
