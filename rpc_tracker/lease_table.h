#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "proto/device_stock.h"
#include "rpc_tracker/fair_queue.h"
#include "rpc_tracker/lease_event.h"
#include "rpc_tracker/quarantine.h"
#include "rpc_tracker/waiting_limits.h"

namespace kiln {

// One registration of a device: from its hello until its connection ends. Never reused.
using SessionId = std::uint64_t;

// Epochs are below this, so that counting up from any of them never wraps.
inline constexpr std::uint64_t kEpochLimit = std::uint64_t{1} << 62;

// The lease that a device says it serves.
struct HeldLease {
  std::string id;
  std::string client;
  std::uint64_t epoch = 0;
  std::string
      owner;  // the party that it was granted to; empty: not known, whoever asks is believed

  bool operator==(const HeldLease&) const = default;
};

// What a device says about itself: DeviceHello of proto/tracker.proto. The last two are said by
// whoever took the hello in, not by the device.
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
  std::string owner;           // whose the name is: of its credential, else the host it is seen at
  bool authenticated = false;  // `owner` is a credential's name
};

struct LeaseRequest {
  std::string id;      // made by the client, unique; the lease's id when granted
  std::string client;  // "user@host:pid", as it says
  std::string target;
  std::int32_t priority = 0;  // among the requests of the same client, higher first
  std::chrono::milliseconds wait{0};
  std::string time_kind = "measured";
  std::string party;  // whose credential asks (in plaintext: which host): FairQueue's Asker
};

struct LeaseGrant {
  std::string id;
  std::uint64_t epoch = 0;
  std::string device;
  std::string address;
  std::string time_kind = "measured";

  bool operator==(const LeaseGrant&) const = default;
};

// Which lease a caller says is its own.
struct LeaseClaim {
  std::string_view party;  // that calls
  std::string_view device;
  std::string_view id;
  std::uint64_t epoch = 0;
};

// What the holder of a lease says of the device when it gives it back.
struct LeaseReport {
  std::string fault;    // what was wrong, for people; empty: nothing
  bool served = false;  // and it has answered: not so of a lease in which nothing was run
};

struct Renewal {
  bool give_back = false;  // somebody waits whose turn it is: give it back at the next trial's end
};

enum class DeviceStatus { kFree, kOffered, kLeased, kLost, kQuarantined };

struct DeviceView {
  DeviceHello hello;
  DeviceStatus status = DeviceStatus::kFree;
  std::string client;  // the holder, if leased or offered
  std::uint64_t epoch = 0;
  DeviceRecord record = {};
};

// What the shell must do, in this order, after it has called the table.
struct SendGrant {
  SessionId session = 0;
  HeldLease lease;
};
// Epoch 0 is nobody's: the command changes nothing, and is sent to find out whether anybody reads.
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
struct TellQuarantine {  // for the log
  std::string device;
  DeviceRecord record;
  std::chrono::milliseconds time{0};
};
using LeaseAction = std::variant<SendGrant, SendRevoke, EndSession, AnswerRequest, TellQuarantine>;

struct LeaseTableOptions {
  std::chrono::milliseconds ttl{10'000};         // a lease without heartbeat ends after it
  std::chrono::milliseconds ack_timeout{5'000};  // a device that does not acknowledge is cut off
  std::chrono::milliseconds forget_lost{3'600'000};  // a device that does not come back
  std::chrono::milliseconds turn{1'000};  // for so long a holder is not asked to give back
  FairQueue::Options shares{};
  WaitingLimits::Options waiting{};
  Quarantine::Options quarantine{};
  std::size_t max_devices = 16'384;  // registered at a time
  std::size_t max_lost =
      16'384;  // remembered though lost; of more, the one lost first is forgotten
  // No device is granted an epoch up to this one. A tracker that keeps state counts its starts and
  // gives (starts << 40), so that its epochs grow over restarts even if a device forgets its own.
  std::uint64_t first_epoch = 0;
  bool record_events = false;  // for TakeEvents()
  DeviceRecords records = {};  // that a former table left
};

// This is who has which device until when: a pure state machine, without threads, sockets or a
// clock of its own. Each call says what time it is (never going back) and may leave actions, which
// TakeActions() hands out.
//
// The problem: devices, their connections, clients and this program come and go at any time, whole
// farms at once; some callers are greedy, and some lie. No device may ever be held by two, nobody
// starved, and neither a thousand devices nor ten thousand waiting requests slow down a call.
//
// A device that fails is passed over (quarantine.h). Each lease counts at most once: as a failure, if
// its holder says so when it gives it back (Release), or the device's connection is lost meanwhile; as a
// success, if the holder gives it back in peace and has been served. A holder that only vanishes has
// said nothing. Not to acknowledge an offer is a failure, too. Among free devices those with the fewest
// failures come first, then the one that has rested longest. A device in quarantine is offered to
// nobody. It keeps its session; requests that only such devices could serve wait, as for busy ones.
//
// The idea is fencing (Burrows, "The Chubby lock service", OSDI 2006, there called sequencers): a
// lease is (device, client, epoch, deadline), and a device serves nothing but the lease with the
// highest epoch that it has acknowledged. A device is *free*, *offered* (SendGrant is out, its
// acknowledgement is not back), *leased*, or *lost* (no session). A *wish* is what a request wants
// and a device is: a target and a kind of times. What holds, whatever happens:
//   - a device has at most one lease, and a lease is answered only after the device acknowledged;
//   - the epochs of a device only grow, beyond what it has itself seen: max(first_epoch, ours, its)
//     + 1, also after it was forgotten here and has forgotten them itself (over restarts of the
//     tracker: if that keeps first_epoch). They end below kEpochLimit, and a hello with
//     epochs that could break this is turned away;
//   - a request gets a device of its wish, in the turns of fair_queue.h; a request whose offer came
//     to nothing keeps its place;
//   - as long as somebody waits for a wish, no device of it is free;
//   - a lease, or a waiting request, is the affair of the party that asked for it: others can
//     neither renew, release, cancel nor repeat it;
//   - a lease survives a lost connection of its device, until its deadline, if the same instance
//     comes back with it; a device that comes back without it has ended it;
//   - after a restart of the tracker, a device that comes back with a lease keeps it for one ttl,
//     in which its holder's heartbeat finds it again;
//   - a device's name belongs to its owner until it is forgotten. One with a credential takes the
//     place of its former instance at once, which may not come back: it would take the place of the
//     one that took its own, and may never have heard of that. Others must wait until the former one
//     has gone;
//   - a device in quarantine is not offered before its time, and is again after it. The record goes
//     with the name: a device does not lose it by connecting again, nor by a new instance, nor by a
//     restart of the tracker (records(), LeaseTableOptions::records);
//   - what is kept is bounded: waiting_limits.h, max_devices, max_lost.
//
// Every call but Devices() costs O(log n): sessions, leases and requests are found by id, free
// devices and waiting requests by wish, what is due by its time. Only the words for a request that
// found no device look at all devices of its wish; with many, they may be a moment old.
// Not thread-safe.
class LeaseTable {
 public:
  LeaseTable(const LeaseTableOptions& options, SteadyTime start);

  // A device connects. kInvalidArgument: its epochs make no sense. kAlreadyExists: another instance
  // of that name is connected (which is nudged, so that a dead connection is noticed). kAborted:
  // another instance with its credential has taken its place.
  // kPermissionDenied: the name is another owner's. kResourceExhausted: too many devices.
  StatusOr<SessionId> Register(SteadyTime now, DeviceHello hello);
  // Its connection has ended. Unknown sessions are ignored: EndSession's are.
  void Disconnect(SteadyTime now, SessionId session);
  void Acknowledge(SteadyTime now, SessionId session, std::uint64_t epoch);

  // Queues a request; AnswerRequest follows, at once or later. The id of a lease that is held is
  // answered with that lease; one that waits keeps its place, with the new deadline. An error is the
  // caller's answer, no AnswerRequest follows, and a former call with that id is not concerned:
  // kPermissionDenied: the id is another party's; kResourceExhausted: too many wait.
  Status Request(SteadyTime now, const LeaseRequest& request);
  // The requester has gone: its request is dropped, or its lease, if granted, ended. Unknown ids are
  // ignored. kPermissionDenied: the id is another party's; nothing has changed.
  Status Cancel(SteadyTime now, std::string_view id, std::string_view party);
  // Ok: the lease now ends one ttl after now. kFailedPrecondition: it is over. kUnavailable: the
  // table is younger than one ttl, so the device may still come back with it. kPermissionDenied: it
  // is another party's.
  StatusOr<Renewal> Renew(SteadyTime now, const LeaseClaim& claim);
  // Without effect if the lease is over: nobody can speak of a device that he does not have.
  // kPermissionDenied: it is another party's, and goes on.
  Status Release(SteadyTime now, const LeaseClaim& claim, const LeaseReport& report = {});

  // Does what is due: ends leases, answers requests whose wait is over, cuts off silent devices.
  void Tick(SteadyTime now);
  // When Tick() is due next; nullopt: never.
  std::optional<SteadyTime> NextTick() const;

  std::vector<LeaseAction> TakeActions();
  std::vector<LeaseEvent> TakeEvents();     // in order; none unless options.record_events
  std::vector<DeviceView> Devices() const;  // in order of name
  // Of devices that have failed lately, or, of a former table's, may come back.
  const DeviceRecords& records() const { return quarantine_.records(); }
  std::uint64_t record_changes() const { return quarantine_.changes(); }  // so far
  std::size_t waiting() const { return waiting_.size(); }
  std::size_t registered() const { return sessions_.size(); }  // devices with a session
  std::chrono::milliseconds ttl() const { return options_.ttl; }

 private:
  using Ticket = FairQueue::Ticket;
  using FreeRank = std::pair<std::int32_t, std::uint64_t>;  // failures, order of becoming free
  struct Device;

  // A target and a kind of times: the devices that are it, and the requests that want it.
  struct Wish {
    explicit Wish(const FairQueue::Options& shares) : queue(shares) {}
    std::string target, time_kind;
    FairQueue queue;
    std::set<const Device*> devices;   // lost ones too
    std::map<FreeRank, Device*> free;  // the next one first
    std::size_t asked_back = 0;        // leases whose holders have lately been told to give back
    // Words for those who found no device, of stock_time and stock_changes (see changes_).
    std::optional<DeviceStock> stock;
    SteadyTime stock_time;
    std::uint64_t stock_changes = 0;
  };
  struct Waiting {
    LeaseRequest request;
    SteadyTime deadline;
    Wish* wish = nullptr;
  };
  struct Free {
    FreeRank rank;  // in Wish::free
  };
  struct Quarantined {};  // until `due`
  struct Offered {
    Waiting waiting;
    FairQueue::Turn turn;
  };
  struct Leased {
    HeldLease lease;
    FairQueue::Turn turn;
    SteadyTime since;
    std::optional<SteadyTime> asked_back{};  // when its holder was told first
    bool counted = false;                    // in Wish::asked_back
    bool failed = false;                     // a failure has been counted
  };
  struct Lost {
    std::list<Device*>::iterator place;  // in lost_
  };
  // monostate: on its way from one to another; or, between calls, all its epochs are used up.
  using Use = std::variant<std::monostate, Free, Quarantined, Offered, Leased, Lost>;
  struct Device {
    LeaseGrant Grant(const HeldLease& lease) const {
      return {lease.id, lease.epoch, hello.name, hello.address, hello.time_kind};
    }
    std::uint64_t number = 0;
    DeviceHello hello;
    Wish* wish = nullptr;
    SessionId session = 0;  // 0: lost
    SteadyTime lost_since;
    std::uint64_t epoch = 0;           // the highest granted or reported
    bool believed = true;              // it has reported no epoch beyond those that we know of
    std::deque<std::string> replaced;  // instances with its credential before this one, the latest
    Use use;
    // Of the acknowledgement, the lease, the quarantine's end, or being forgotten.
    std::optional<SteadyTime> due;
  };
  struct ByTime {
    bool operator()(const Device* a, const Device* b) const {
      return std::pair(*a->due, a->number) < std::pair(*b->due, b->number);
    }
  };
  using WishKey = std::pair<std::string, std::string>;  // target, kind of times
  // Where an id is: it waits, or is offered or leased on a device.
  using Place = std::variant<Ticket, Device*>;

  Status MayRegister(const DeviceHello& hello, const Device* known) const;
  Status MayTakeName(const DeviceHello& hello, const Device& known) const;
  static Status MayComeBack(const DeviceHello& hello, const Device& known);
  void ReplaceSession(SteadyTime now, Device& device, const DeviceHello& hello);
  void Welcome(SteadyTime now, Device& device, DeviceHello hello);
  void AdoptHeld(SteadyTime now, Device& device, std::uint64_t known_epoch);
  bool MayAdopt(const HeldLease& held, const Wish* wish) const;
  void Drop(SteadyTime now, Device& device, LeaseEventKind how, const std::string& reason);
  void SetWish(Device& device, const DeviceHello& hello);
  void Forget(Device& device);
  void LimitLost();

  Status RepeatRequest(SteadyTime now, const LeaseRequest& request, const Place& place);
  Status Admit(SteadyTime now, const LeaseRequest& request);
  void Enqueue(SteadyTime now, const LeaseRequest& request);
  void PutBack(SteadyTime now, Offered offered);
  void Keep(Ticket ticket, Waiting waiting);
  Waiting TakeOut(Ticket ticket);
  Waiting Dequeue(SteadyTime now, Ticket ticket);
  void Unserved(SteadyTime now, Ticket ticket, const Status& why);
  void CancelOffer(SteadyTime now, Device& device);
  void Match(SteadyTime now, Wish& wish);
  void Offer(SteadyTime now, Device& device, FairQueue::Turn turn);

  Device* FindSession(SessionId session) const;
  StatusOr<Device*> FindLease(const LeaseClaim& claim);
  void BeginLease(SteadyTime now, Device& device, HeldLease lease, FairQueue::Turn turn);
  void EndLease(SteadyTime now, Device& device, LeaseEventKind how, const std::string& reason);
  void Vacate(SteadyTime now, Device& device);
  bool ShouldGiveBack(SteadyTime now, Wish& wish, Leased& leased) const;

  void CountFailure(SteadyTime now, Device& device, const std::string& reason);
  void Judge(SteadyTime now, Device& device, const LeaseReport& report);
  void ForgetFailures(const std::string& name);
  void ForgetStrangers(SteadyTime now);

  void Expire(SteadyTime now, Device& device);
  void SetDue(Device& device, std::optional<SteadyTime> due);
  std::uint64_t NextEpoch(const Device& device) const;
  Wish* FindWish(const LeaseRequest& request);
  Wish& MakeWish(const std::string& target, const std::string& time_kind);
  void DropIfUnused(const Wish* wish);
  Status NoDevice(SteadyTime now, Wish& wish, std::chrono::milliseconds waited);
  DeviceStock Stock(const Wish& wish) const;
  void RecordDevice(LeaseEventKind kind, const DeviceHello& hello, std::uint64_t epoch,
                    const std::string& reason = "");
  void RecordLease(LeaseEventKind kind, const Device& device, const HeldLease& lease,
                   const std::string& reason = "");
  void RecordRequest(LeaseEventKind kind, const LeaseRequest& request,
                     const std::string& reason = "");

  const LeaseTableOptions options_;
  const SteadyTime start_;
  std::map<WishKey, Wish> wishes_;                      // those with devices or requests
  std::set<WishKey> served_;                            // those with devices
  std::map<std::string, Device, std::less<>> devices_;  // by name
  std::unordered_map<SessionId, Device*> sessions_;
  std::unordered_map<Ticket, Waiting> waiting_;
  std::unordered_map<std::string, Place> places_;  // by id of request or lease
  std::set<std::pair<SteadyTime, Ticket>> request_deadlines_;
  std::set<Device*, ByTime> device_deadlines_;
  std::list<Device*> lost_;  // those that may be forgotten, the first lost first
  Quarantine quarantine_;
  bool has_strangers_ = false;  // a former table's records whose devices have not come back
  WaitingLimits limits_;
  std::vector<LeaseAction> actions_;
  std::vector<LeaseEvent> events_;
  SessionId last_session_ = 0;
  Ticket last_ticket_ = 0;
  std::uint64_t last_number_ = 0;
  // No epoch up to this is granted: it is beyond all that a forgotten device was granted, who may
  // itself have forgotten them. Epochs that only a device speaks of do not count: it may lie.
  std::uint64_t epoch_floor_;
  std::uint64_t changes_ = 0;  // of what DeviceStock counts, so far
  std::uint64_t freed_ = 0;    // how often a device has become free
};

}  // namespace kiln
