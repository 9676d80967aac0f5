#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace kiln {

// One registration of a device: from its hello until its connection ends. Never reused.
using SessionId = std::uint64_t;

// The lease that a device says it serves.
struct HeldLease {
  std::string id;
  std::string client;
  std::uint64_t epoch = 0;
};

// What a device says about itself: DeviceHello of proto/tracker.proto.
struct DeviceHello {
  std::string name;
  std::string instance;
  std::string target;
  std::vector<std::string> isa;
  std::int32_t cores = 1;
  std::map<std::string, std::string> labels;
  std::string address;
  std::string build;
  std::uint64_t highest_epoch = 0;
  std::optional<HeldLease> held;
  std::string time_kind = "measured";
};

struct LeaseRequest {
  std::string id;  // made by the client, unique; the lease's id when granted
  std::string client;
  std::string target;
  std::int32_t priority = 0;
  std::chrono::milliseconds wait{0};
  std::string time_kind = "measured";
};

struct LeaseGrant {
  std::string id;
  std::uint64_t epoch = 0;
  std::string device;
  std::string address;
  std::string time_kind = "measured";
};

enum class DeviceStatus { kFree, kOffered, kLeased, kLost };

struct DeviceView {
  DeviceHello hello;
  DeviceStatus status = DeviceStatus::kFree;
  std::string client;  // the holder, if leased or offered
  std::uint64_t epoch = 0;
};

// What the shell must do, in this order, after it has called the table.
struct SendGrant {
  SessionId session = 0;
  HeldLease lease;
};
struct SendRevoke {
  SessionId session = 0;
  std::uint64_t epoch = 0;
};
struct EndSession {  // the table has forgotten it already
  SessionId session = 0;
  Status why;
};
struct AnswerRequest {
  std::string id;
  StatusOr<LeaseGrant> answer;
};
using LeaseAction = std::variant<SendGrant, SendRevoke, EndSession, AnswerRequest>;

struct LeaseTableOptions {
  std::chrono::milliseconds ttl{10'000};         // a lease without heartbeat ends after it
  std::chrono::milliseconds ack_timeout{5'000};  // a device that does not acknowledge is cut off
  std::chrono::milliseconds forget_lost{3'600'000};  // a device that does not come back
};

// This is who has which device until when: a pure state machine, without threads, sockets or a
// clock of its own. Each call says what time it is (never going back) and may leave actions, which
// TakeActions() hands out.
//
// A device is free, offered (SendGrant is out, its acknowledgement is not back), leased, or lost
// (no session). What holds, whatever happens:
//   - a device has at most one lease, and a lease is answered only after the device acknowledged;
//   - the epochs of a device only grow, beyond what it has itself seen: max(ours, its) + 1;
//   - a request gets a device of its target and of the kind of times that it asks for;
//   - the queue is served by priority, then arrival; a request whose offer came to nothing keeps
//     its place;
//   - a lease survives a lost connection of its device, until its deadline, if the same instance
//     comes back with it; a device that comes back without it has ended it;
//   - after a restart of the tracker, a device that comes back with a lease keeps it for one ttl,
//     in which its holder's heartbeat finds it again.
// Not thread-safe.
class LeaseTable {
 public:
  LeaseTable(const LeaseTableOptions& options, SteadyTime start);

  // A device connects. kAlreadyExists if another instance of the same name has a session.
  StatusOr<SessionId> Register(SteadyTime now, DeviceHello hello);
  // Its connection has ended. Unknown sessions are ignored: EndSession's are.
  void Disconnect(SteadyTime now, SessionId session);
  void Acknowledge(SteadyTime now, SessionId session, std::uint64_t epoch);

  // Queues a request; AnswerRequest follows, at once or later. The id of a lease that is held is
  // answered with that lease; one that waits keeps its place, with the new deadline.
  void Request(SteadyTime now, const LeaseRequest& request);
  // The requester has gone: its request is dropped, or its lease, if granted, ended.
  void Cancel(SteadyTime now, std::string_view id);
  // Ok: the lease now ends one ttl after now. kFailedPrecondition: it is over. kUnavailable: the
  // table is younger than one ttl, so the device may still come back with it.
  Status Renew(SteadyTime now, std::string_view device, std::string_view id, std::uint64_t epoch);
  // Without effect if the lease is over.
  void Release(SteadyTime now, std::string_view device, std::string_view id, std::uint64_t epoch);

  // Does what is due: ends leases, answers requests whose wait is over, cuts off silent devices.
  void Tick(SteadyTime now);
  // When Tick() is due next; nullopt: never.
  std::optional<SteadyTime> NextTick() const;

  std::vector<LeaseAction> TakeActions();
  std::vector<DeviceView> Devices() const;  // in order of name
  std::size_t waiting() const { return queue_.size(); }
  std::chrono::milliseconds ttl() const { return options_.ttl; }

 private:
  struct Waiting {
    LeaseRequest request;
    std::uint64_t arrival = 0;
    SteadyTime deadline;
  };
  struct Offered {
    Waiting waiting;
    SteadyTime deadline;  // of the acknowledgement
  };
  struct Leased {
    HeldLease lease;
    SteadyTime deadline;
  };
  struct Device {
    LeaseGrant Grant(const std::string& lease, std::uint64_t granted) const {
      return {lease, granted, hello.name, hello.address, hello.time_kind};
    }
    DeviceHello hello;
    SessionId session = 0;  // 0: lost
    SteadyTime lost_since;
    std::uint64_t epoch = 0;  // the highest granted or reported
    std::variant<std::monostate, Offered, Leased> use;
  };

  Device* FindSession(SessionId session);
  Device* FindLease(std::string_view device, std::string_view id, std::uint64_t epoch);
  Waiting* FindWaiting(std::string_view id);
  void Adopt(SteadyTime now, Device& device, const DeviceHello& hello);
  void Drop(SteadyTime now, Device& device);
  void EndLease(Device& device);
  void Enqueue(Waiting waiting);
  void Match(SteadyTime now);
  void Grant(SteadyTime now, Device& device, Waiting waiting);
  void Expire(SteadyTime now, Device& device);
  static bool Fits(const LeaseRequest& request, const DeviceHello& hello);
  Status NoDevice(const LeaseRequest& request) const;

  const LeaseTableOptions options_;
  const SteadyTime start_;
  std::map<std::string, Device, std::less<>> devices_;  // by name
  std::vector<Waiting> queue_;                          // in the order of being served
  std::vector<LeaseAction> actions_;
  SessionId last_session_ = 0;
  std::uint64_t last_arrival_ = 0;
};

}  // namespace kiln
