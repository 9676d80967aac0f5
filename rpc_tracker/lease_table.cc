#include "rpc_tracker/lease_table.h"

#include <algorithm>

namespace kiln {
namespace {

// Words about devices: so many holders and other wishes are named, and, of a wish with many devices,
// they are counted anew only so often.
constexpr std::size_t kHoldersNamed = 8, kWishesNamed = 16, kManyDevices = 64;
constexpr std::chrono::milliseconds kWordsAge{100};
// Of a device: it is not started as often as this within the seconds that a dead connection stands.
constexpr std::size_t kReplacedKnown = 16;

Status Foreign(std::string_view id) {
  return Error(StatusCode::kPermissionDenied, "lease ", id,
               " is another's: it can only be used with the credential (or, in plaintext, from the "
               "host) that asked for it");
}

// Told to the one whose place `hello` has taken.
Status Replaced(const DeviceHello& hello) {
  return Error(StatusCode::kAborted, "another kiln-server with this device's certificate has ",
               "registered as ", hello.name, ", at ", hello.address,
               ": stop one of the two, or give it a name and a certificate of its own");
}

// A lease whose owner is not known was brought by a device from a tracker that did not say.
bool MayUse(const std::string& owner, std::string_view party) {
  return owner.empty() || owner == party;
}

}  // namespace

LeaseTable::LeaseTable(const LeaseTableOptions& options, SteadyTime start)
    : options_(options),
      start_(start),
      quarantine_(options.quarantine, options.records, start),
      has_strangers_(!options.records.empty()),
      limits_(options.waiting),
      epoch_floor_(options.first_epoch) {
  if (options_.record_events) {
    LeaseEvent started;
    started.kind = LeaseEventKind::kStarted;
    started.epoch = options_.first_epoch;
    events_.push_back(std::move(started));
    for (const auto& [name, record] : records()) {
      if (record.until) {
        events_.push_back(
            {LeaseEventKind::kQuarantined, name, "", "", record.owner, 0, record.reason});
      }
    }
  }
}

// ---- Devices come and go.

StatusOr<SessionId> LeaseTable::Register(SteadyTime now, DeviceHello hello) {
  const auto found = devices_.find(hello.name);
  Device* known = found == devices_.end() ? nullptr : &found->second;
  if (const Status status = MayRegister(hello, known); !status.ok()) {
    RecordDevice(LeaseEventKind::kDeviceRefused, hello, hello.highest_epoch, Message(status));
    if (status.code() == StatusCode::kAlreadyExists) {
      actions_.push_back(SendRevoke{known->session, 0});
    }
    return status;
  }
  Device& device = known ? *known : devices_[hello.name];
  if (!known) {
    device.number = ++last_number_;
    // A former table's record of this name, if that was another's.
    const DeviceRecord* record = quarantine_.Find(hello.name);
    if (record && record->owner != hello.owner) ForgetFailures(hello.name);
  }
  if (device.session != 0) ReplaceSession(now, device, hello);
  Welcome(now, device, std::move(hello));
  return device.session;
}

Status LeaseTable::MayRegister(const DeviceHello& hello, const Device* known) const {
  const std::uint64_t held = hello.held ? hello.held->epoch : 0;
  if (std::max(hello.highest_epoch, held) >= kEpochLimit) {
    return Error(StatusCode::kInvalidArgument, "device ", hello.name, " reports epoch ",
                 std::max(hello.highest_epoch, held), ", and no tracker grants one from ",
                 kEpochLimit, " on: restart its kiln-server");
  }
  if (held > hello.highest_epoch) {
    return Error(StatusCode::kInvalidArgument, "device ", hello.name, " says that it serves epoch ",
                 held, " but has seen none above ", hello.highest_epoch,
                 ": restart its kiln-server");
  }
  if (known) RETURN_IF_ERROR(MayTakeName(hello, *known));
  if (known) RETURN_IF_ERROR(MayComeBack(hello, *known));
  const bool replaces = known && known->session != 0;
  if (!replaces && sessions_.size() >= options_.max_devices) {
    return Error(StatusCode::kResourceExhausted, "the tracker has ", sessions_.size(),
                 " devices, as many as it serves: use another tracker for ", hello.name);
  }
  return absl::OkStatus();
}

// A credential is proof; without one a program is believed to be itself by its instance, which is
// random and told to nobody but the tracker, and a dead program's successor by its host.
Status LeaseTable::MayTakeName(const DeviceHello& hello, const Device& known) const {
  const DeviceHello& former = known.hello;
  const bool proven = hello.authenticated || former.authenticated;
  const bool same_owner =
      hello.owner == former.owner && hello.authenticated == former.authenticated;
  if (proven ? same_owner : hello.instance == former.instance) return absl::OkStatus();
  if (!proven && known.session != 0) {
    return Error(StatusCode::kAlreadyExists, "a device named ", hello.name,
                 " is connected already (it serves ", former.address,
                 "): give this one another --name");
  }
  if (same_owner) return absl::OkStatus();
  return Error(StatusCode::kPermissionDenied, "the name ", hello.name, " belongs to ",
               former.authenticated ? "the credential " : "the device at ", former.owner,
               ": give this device another --name (a name is free again ",
               DescribeTime(options_.forget_lost), " after its device was lost)");
}

// A connection that is gone without a word is noticed at either end at any time: what has been
// replaced may not have heard of it, and dial again.
Status LeaseTable::MayComeBack(const DeviceHello& hello, const Device& known) {
  const auto& replaced = known.replaced;
  const bool is_over =
      hello.authenticated && std::ranges::find(replaced, hello.instance) != replaced.end();
  return is_over ? Replaced(known.hello) : absl::OkStatus();
}

void LeaseTable::ReplaceSession(SteadyTime now, Device& device, const DeviceHello& hello) {
  const SessionId old = device.session;
  const bool same = device.hello.instance == hello.instance;
  // Only the latter is told to stay away (kAborted), see tracker.proto.
  const Status why =
      same ? Error(StatusCode::kUnavailable, "the device has reconnected") : Replaced(hello);
  Drop(now, device, LeaseEventKind::kReplaced, Message(why));
  actions_.push_back(EndSession{old, why});
}

// Brings what we know of a device's lease together with what it says.
void LeaseTable::Welcome(SteadyTime now, Device& device, DeviceHello hello) {
  if (const auto* lost = std::get_if<Lost>(&device.use)) {
    lost_.erase(lost->place);
    device.use = std::monostate();
    SetDue(device, std::nullopt);
  }
  bool kept = false;
  if (const auto* ours = std::get_if<Leased>(&device.use)) {
    kept = hello.held && hello.held->id == ours->lease.id &&
           hello.held->epoch == ours->lease.epoch && hello.target == device.hello.target &&
           hello.time_kind == device.hello.time_kind;
    if (!kept) EndLease(now, device, LeaseEventKind::kRevoked, "the device came back without it");
  }
  device.session = ++last_session_;
  sessions_[device.session] = &device;
  SetWish(device, hello);
  const std::uint64_t known_epoch = device.epoch;
  device.epoch = std::max(known_epoch, hello.highest_epoch);
  if (device.epoch > std::max(known_epoch, epoch_floor_)) device.believed = false;
  if (device.hello.authenticated && device.hello.instance != hello.instance) {
    device.replaced.push_back(device.hello.instance);
    if (device.replaced.size() > kReplacedKnown) device.replaced.pop_front();
  }
  device.hello = std::move(hello);
  ++changes_;
  RecordDevice(LeaseEventKind::kRegistered, device.hello, device.epoch);
  if (!kept && device.hello.held) AdoptHeld(now, device, known_epoch);
  if (std::holds_alternative<std::monostate>(device.use)) Vacate(now, device);
  Match(now, *device.wish);
}

// A lease that we have never heard of was granted before our restart; one that we know, but not as
// the present one, ended while the device was away.
void LeaseTable::AdoptHeld(SteadyTime now, Device& device, std::uint64_t known_epoch) {
  HeldLease held = *device.hello.held;
  if (held.epoch <= known_epoch || !MayAdopt(held, device.wish)) {
    actions_.push_back(SendRevoke{device.session, held.epoch});
    return;
  }
  if (const auto place = places_.find(held.id); place != places_.end()) {
    // Its client did not hear of the grant, and has asked again.
    const Waiting waiting = Dequeue(now, std::get<Ticket>(place->second));
    held.client = waiting.request.client;
    held.owner = waiting.request.party;
    actions_.push_back(AnswerRequest{held.id, device.Grant(held)});
  }
  FairQueue::Turn turn = device.wish->queue.Adopt(now, {held.owner, held.client});
  places_[held.id] = &device;
  RecordLease(LeaseEventKind::kAdopted, device, held);
  BeginLease(now, device, std::move(held), turn);
}

// Its id must not be in use, unless by a request that waits for just this lease.
bool LeaseTable::MayAdopt(const HeldLease& held, const Wish* wish) const {
  const auto place = places_.find(held.id);
  if (place == places_.end()) return true;
  const auto* ticket = std::get_if<Ticket>(&place->second);
  if (!ticket) return false;
  const Waiting& waiting = waiting_.at(*ticket);
  return waiting.wish == wish && MayUse(held.owner, waiting.request.party);
}

void LeaseTable::Disconnect(SteadyTime now, SessionId session) {
  Device* device = FindSession(session);
  if (!device) return;
  Drop(now, *device, LeaseEventKind::kLost, "its connection has ended");
  Match(now, *device->wish);
  LimitLost();
}

// The session ends. A request that was being offered goes back to its place; a lease lives on.
void LeaseTable::Drop(SteadyTime now, Device& device, LeaseEventKind how,
                      const std::string& reason) {
  sessions_.erase(device.session);
  device.session = 0;
  device.lost_since = now;
  ++changes_;
  RecordDevice(how, device.hello, device.epoch, reason);
  if (auto* leased = std::get_if<Leased>(&device.use)) {
    if (!std::exchange(leased->failed, true)) {
      CountFailure(now, device, "its connection was lost during a lease");
    }
    return;
  }
  if (const auto* free = std::get_if<Free>(&device.use)) device.wish->free.erase(free->rank);
  Use former = std::exchange(device.use, std::monostate());
  if (auto* offered = std::get_if<Offered>(&former)) PutBack(now, std::move(*offered));
  Vacate(now, device);
}

void LeaseTable::SetWish(Device& device, const DeviceHello& hello) {
  Wish& wish = MakeWish(hello.target, hello.time_kind);
  const Wish* former = std::exchange(device.wish, &wish);
  if (former == &wish) return;
  wish.devices.insert(&device);
  served_.insert({wish.target, wish.time_kind});
  if (!former) return;
  Wish& left = wishes_.find({former->target, former->time_kind})->second;
  left.devices.erase(&device);
  DropIfUnused(&left);
}

// The device is lost and has no lease.
void LeaseTable::Forget(Device& device) {
  RecordDevice(LeaseEventKind::kForgotten, device.hello, device.epoch);
  if (device.believed) epoch_floor_ = std::max(epoch_floor_, device.epoch);
  lost_.erase(std::get<Lost>(device.use).place);
  SetDue(device, std::nullopt);
  device.wish->devices.erase(&device);
  DropIfUnused(device.wish);
  ++changes_;
  ForgetFailures(device.hello.name);
  devices_.erase(devices_.find(device.hello.name));
}

void LeaseTable::LimitLost() {
  while (lost_.size() > options_.max_lost) Forget(*lost_.front());
}

// ---- Requests wait, and are served.

Status LeaseTable::Request(SteadyTime now, const LeaseRequest& request) {
  if (const auto place = places_.find(request.id); place != places_.end()) {
    Status status = RepeatRequest(now, request, place->second);
    if (!status.ok()) RecordRequest(LeaseEventKind::kRequestRefused, request, Message(status));
    return status;
  }
  const Wish* wish = FindWish(request);
  const bool served = wish && !wish->free.empty();
  if (!served && request.wait.count() <= 0) {
    Wish& wanted = MakeWish(request.target, request.time_kind);
    const Status none = NoDevice(now, wanted, request.wait);
    DropIfUnused(&wanted);
    RecordRequest(LeaseEventKind::kUnserved, request, Message(none));
    actions_.push_back(AnswerRequest{request.id, none});
    return absl::OkStatus();
  }
  if (!served) RETURN_IF_ERROR(Admit(now, request));
  Enqueue(now, request);
  return absl::OkStatus();
}

Status LeaseTable::RepeatRequest(SteadyTime now, const LeaseRequest& request, const Place& place) {
  const SteadyTime deadline = now + request.wait;
  if (const auto* ticket = std::get_if<Ticket>(&place)) {
    Waiting& waiting = waiting_.at(*ticket);
    if (waiting.request.party != request.party) return Foreign(request.id);
    request_deadlines_.erase({std::exchange(waiting.deadline, deadline), *ticket});
    request_deadlines_.insert({deadline, *ticket});
    return absl::OkStatus();
  }
  Device& device = *std::get<Device*>(place);
  if (auto* offered = std::get_if<Offered>(&device.use)) {
    if (offered->waiting.request.party != request.party) return Foreign(request.id);
    offered->waiting.deadline = deadline;
    return absl::OkStatus();
  }
  const Leased& leased = std::get<Leased>(device.use);
  if (!MayUse(leased.lease.owner, request.party)) return Foreign(request.id);
  SetDue(device, now + options_.ttl);
  actions_.push_back(AnswerRequest{request.id, device.Grant(leased.lease)});
  return absl::OkStatus();
}

// Whether one more may wait; makes room for it.
Status LeaseTable::Admit(SteadyTime now, const LeaseRequest& request) {
  const StatusOr<Ticket> displaced = limits_.Admit({request.party, request.client});
  if (!displaced.ok()) {
    RecordRequest(LeaseEventKind::kRequestRefused, request, Message(displaced.status()));
    return displaced.status();
  }
  if (*displaced != 0) Unserved(now, *displaced, limits_.Displaced());
  return absl::OkStatus();
}

void LeaseTable::Enqueue(SteadyTime now, const LeaseRequest& request) {
  Wish& wish = MakeWish(request.target, request.time_kind);
  const Ticket ticket = ++last_ticket_;
  wish.queue.Push(now, ticket, {request.party, request.client}, request.priority);
  Keep(ticket, {request, now + request.wait, &wish});
  RecordRequest(LeaseEventKind::kWaiting, request);
  Match(now, wish);
}

void LeaseTable::PutBack(SteadyTime now, Offered offered) {
  RecordRequest(LeaseEventKind::kReturned, offered.waiting.request);
  offered.waiting.wish->queue.PutBack(now, offered.turn);
  Keep(offered.turn.ticket(), std::move(offered.waiting));
}

// What is known of a request that waits, but for its place in the queue.
void LeaseTable::Keep(Ticket ticket, Waiting waiting) {
  places_[waiting.request.id] = ticket;
  request_deadlines_.insert({waiting.deadline, ticket});
  limits_.Add({waiting.request.party, waiting.request.client}, ticket);
  waiting_.emplace(ticket, std::move(waiting));
}

// Undoes Keep(), but for places_.
LeaseTable::Waiting LeaseTable::TakeOut(Ticket ticket) {
  Waiting waiting = std::move(waiting_.extract(ticket).mapped());
  request_deadlines_.erase({waiting.deadline, ticket});
  limits_.Remove({waiting.request.party, waiting.request.client}, ticket);
  return waiting;
}

LeaseTable::Waiting LeaseTable::Dequeue(SteadyTime now, Ticket ticket) {
  Waiting waiting = TakeOut(ticket);
  places_.erase(waiting.request.id);
  waiting.wish->queue.Erase(now, ticket);
  DropIfUnused(waiting.wish);
  return waiting;
}

void LeaseTable::Unserved(SteadyTime now, Ticket ticket, const Status& why) {
  const Waiting waiting = Dequeue(now, ticket);
  RecordRequest(LeaseEventKind::kUnserved, waiting.request, Message(why));
  actions_.push_back(AnswerRequest{waiting.request.id, why});
}

Status LeaseTable::Cancel(SteadyTime now, std::string_view id, std::string_view party) {
  const auto place = places_.find(std::string(id));
  if (place == places_.end()) return absl::OkStatus();
  if (const auto* ticket = std::get_if<Ticket>(&place->second)) {
    if (waiting_.at(*ticket).request.party != party) return Foreign(id);
    RecordRequest(LeaseEventKind::kWithdrawn, Dequeue(now, *ticket).request);
    return absl::OkStatus();
  }
  Device& device = *std::get<Device*>(place->second);
  if (const auto* offered = std::get_if<Offered>(&device.use)) {
    if (offered->waiting.request.party != party) return Foreign(id);
    CancelOffer(now, device);
  } else {
    if (!MayUse(std::get<Leased>(device.use).lease.owner, party)) return Foreign(id);
    EndLease(now, device, LeaseEventKind::kReleased, "its client has gone");
  }
  Vacate(now, device);
  return absl::OkStatus();
}

// The device may have begun to serve it already. The turn has been had.
void LeaseTable::CancelOffer(SteadyTime now, Device& device) {
  const Offered offered = std::get<Offered>(std::exchange(device.use, std::monostate()));
  places_.erase(offered.waiting.request.id);
  device.wish->queue.End(now, offered.turn);
  RecordRequest(LeaseEventKind::kWithdrawn, offered.waiting.request);
  actions_.push_back(SendRevoke{device.session, device.epoch});
}

void LeaseTable::Match(SteadyTime now, Wish& wish) {
  while (!wish.free.empty() && !wish.queue.empty()) {
    Offer(now, *wish.free.begin()->second, wish.queue.Pop(now));
  }
}

void LeaseTable::Offer(SteadyTime now, Device& device, FairQueue::Turn turn) {
  device.wish->free.erase(std::get<Free>(device.use).rank);
  device.epoch = NextEpoch(device);
  Waiting waiting = TakeOut(turn.ticket());
  const LeaseRequest& request = waiting.request;
  places_[request.id] = &device;
  const HeldLease lease{request.id, request.client, device.epoch, request.party};
  RecordLease(LeaseEventKind::kOffered, device, lease);
  actions_.push_back(SendGrant{device.session, lease});
  device.use = Offered{std::move(waiting), turn};
  SetDue(device, now + options_.ack_timeout);
  ++changes_;
}

void LeaseTable::Acknowledge(SteadyTime now, SessionId session, std::uint64_t epoch) {
  Device* device = FindSession(session);
  if (!device || epoch != device->epoch || !std::holds_alternative<Offered>(device->use)) return;
  Offered offered = std::get<Offered>(std::exchange(device->use, std::monostate()));
  const LeaseRequest& request = offered.waiting.request;
  HeldLease lease{request.id, request.client, epoch, request.party};
  device->wish->queue.Begin(now, offered.turn);
  RecordLease(LeaseEventKind::kGranted, *device, lease);
  actions_.push_back(AnswerRequest{request.id, device->Grant(lease)});
  BeginLease(now, *device, std::move(lease), offered.turn);
}

// ---- Leases.

StatusOr<Renewal> LeaseTable::Renew(SteadyTime now, const LeaseClaim& claim) {
  ASSIGN_OR_RETURN(Device * device, FindLease(claim));
  if (device) {
    SetDue(*device, now + options_.ttl);
    return Renewal{ShouldGiveBack(now, *device->wish, std::get<Leased>(device->use))};
  }
  const auto known = devices_.find(claim.device);
  const bool heard_of = known != devices_.end() && known->second.epoch >= claim.epoch;
  if (!heard_of && now - start_ < options_.ttl) {
    return Error(StatusCode::kUnavailable, "the tracker has just started and ", claim.device,
                 " is not back yet");
  }
  return Error(StatusCode::kFailedPrecondition, "the lease of ", claim.device, " with epoch ",
               claim.epoch, " is over: it expired, or the device restarted; take another");
}

// A holder is told that somebody waits whose turn comes before its own, if it has had the device for
// a turn. No more holders are told at a time than others wait; one that pays no attention for a ttl
// does not count.
bool LeaseTable::ShouldGiveBack(SteadyTime now, Wish& wish, Leased& leased) const {
  wish.queue.Charge(now, leased.turn);
  const std::size_t others =
      now - leased.since < options_.turn ? 0 : wish.queue.OthersDue(leased.turn);
  const bool heeds = !leased.asked_back || now - *leased.asked_back < options_.ttl;
  if (leased.counted && (others == 0 || !heeds)) {
    leased.counted = false;
    --wish.asked_back;
  }
  if (others == 0) leased.asked_back.reset();
  if (others == 0 || leased.asked_back) return others > 0;
  if (wish.asked_back >= others) return false;
  leased.asked_back = now;
  leased.counted = true;
  ++wish.asked_back;
  return true;
}

Status LeaseTable::Release(SteadyTime now, const LeaseClaim& claim, const LeaseReport& report) {
  ASSIGN_OR_RETURN(Device * device, FindLease(claim));
  if (!device) return absl::OkStatus();
  Judge(now, *device, report);
  EndLease(now, *device, LeaseEventKind::kReleased, report.fault);
  Vacate(now, *device);
  return absl::OkStatus();
}

void LeaseTable::BeginLease(SteadyTime now, Device& device, HeldLease lease, FairQueue::Turn turn) {
  device.use = Leased{std::move(lease), turn, now};
  SetDue(device, now + options_.ttl);
  ++changes_;
}

// The device may serve it no longer. Its epoch stays used. Vacate() must follow.
void LeaseTable::EndLease(SteadyTime now, Device& device, LeaseEventKind how,
                          const std::string& reason) {
  const Leased leased = std::get<Leased>(std::exchange(device.use, std::monostate()));
  if (leased.counted) --device.wish->asked_back;
  places_.erase(leased.lease.id);
  device.wish->queue.End(now, leased.turn);
  SetDue(device, std::nullopt);
  RecordLease(how, device, leased.lease, reason);
  if (device.session != 0) actions_.push_back(SendRevoke{device.session, leased.lease.epoch});
}

// The device has nothing to do: it is free, and soon no more if somebody waits for it; or lost.
void LeaseTable::Vacate(SteadyTime now, Device& device) {
  ++changes_;
  if (device.session == 0) {
    device.use = Lost{lost_.insert(lost_.end(), &device)};
    SetDue(device, device.lost_since + options_.forget_lost);
    return;
  }
  SetDue(device, std::nullopt);
  if (NextEpoch(device) >= kEpochLimit) return;
  const Quarantine::Standing standing = quarantine_.StandingOf(now, device.hello.name);
  const DeviceRecord* record = quarantine_.Find(device.hello.name);
  if (standing == Quarantine::Standing::kApart) {
    device.use = Quarantined{};
    SetDue(device, record->until);
    return;
  }
  if (standing == Quarantine::Standing::kReadmitted) {
    RecordDevice(LeaseEventKind::kReadmitted, device.hello, device.epoch, record->reason);
  }
  Wish& wish = *device.wish;
  const FreeRank rank{record ? record->failures : 0, ++freed_};
  device.use = Free{rank};
  wish.free.emplace(rank, &device);
  Match(now, wish);
}

// ---- Devices that fail.

// What the holder of its lease says.
void LeaseTable::Judge(SteadyTime now, Device& device, const LeaseReport& report) {
  Leased& leased = std::get<Leased>(device.use);
  if (report.fault.empty()) {
    if (report.served) ForgetFailures(device.hello.name);
  } else if (!std::exchange(leased.failed, true)) {
    CountFailure(now, device, report.fault);
  } else {
    // The connection was lost as well; its holder knows more of it.
    quarantine_.Explain(device.hello.name, report.fault);
  }
}

void LeaseTable::CountFailure(SteadyTime now, Device& device, const std::string& reason) {
  const std::string& name = device.hello.name;
  ++changes_;
  const auto time = quarantine_.CountFailure(now, name, device.hello.owner, reason);
  if (!time) return;
  RecordDevice(LeaseEventKind::kQuarantined, device.hello, device.epoch, reason);
  actions_.push_back(TellQuarantine{name, *quarantine_.Find(name), *time});
}

void LeaseTable::ForgetFailures(const std::string& name) {
  const std::optional<DeviceRecord> record = quarantine_.Forget(name);
  if (!record) return;
  ++changes_;
  if (!record->until || !options_.record_events) return;
  events_.push_back({LeaseEventKind::kReadmitted, name, "", "", record->owner, 0, ""});
}

// A former table's records whose devices have not come back: once, and not while they might.
void LeaseTable::ForgetStrangers(SteadyTime now) {
  if (!has_strangers_ || now - start_ < options_.forget_lost) return;
  has_strangers_ = false;
  std::vector<std::string> strangers;
  for (const auto& [name, record] : records()) {
    if (!devices_.contains(name)) strangers.push_back(name);
  }
  for (const std::string& name : strangers) ForgetFailures(name);
}

LeaseTable::Device* LeaseTable::FindSession(SessionId session) const {
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : found->second;
}

// Null if it is over.
StatusOr<LeaseTable::Device*> LeaseTable::FindLease(const LeaseClaim& claim) {
  const auto device = devices_.find(claim.device);
  if (device == devices_.end()) return nullptr;
  const auto* leased = std::get_if<Leased>(&device->second.use);
  const bool same = leased && leased->lease.id == claim.id && leased->lease.epoch == claim.epoch;
  if (!same) return nullptr;
  if (!MayUse(leased->lease.owner, claim.party)) return Foreign(claim.id);
  return &device->second;
}

// ---- Time.

void LeaseTable::Tick(SteadyTime now) {
  ForgetStrangers(now);
  while (!device_deadlines_.empty() && *(*device_deadlines_.begin())->due <= now) {
    Expire(now, **device_deadlines_.begin());
  }
  LimitLost();
  while (!request_deadlines_.empty() && request_deadlines_.begin()->first <= now) {
    const Ticket ticket = request_deadlines_.begin()->second;
    const Waiting& waiting = waiting_.at(ticket);
    Unserved(now, ticket, NoDevice(now, *waiting.wish, waiting.request.wait));
  }
}

void LeaseTable::Expire(SteadyTime now, Device& device) {
  if (std::holds_alternative<Lost>(device.use)) return Forget(device);
  if (std::holds_alternative<Leased>(device.use)) {
    EndLease(now, device, LeaseEventKind::kExpired, "its holder was not heard of");
    return Vacate(now, device);
  }
  if (std::holds_alternative<Quarantined>(device.use)) return Vacate(now, device);
  const SessionId session = device.session;
  const Status why = Error(StatusCode::kDeadlineExceeded, "the device did not acknowledge epoch ",
                           device.epoch, " within ", DescribeTime(options_.ack_timeout));
  Drop(now, device, LeaseEventKind::kLost, Message(why));
  CountFailure(now, device, Message(why));
  actions_.push_back(EndSession{session, why});
  Match(now, *device.wish);
}

std::optional<SteadyTime> LeaseTable::NextTick() const {
  std::optional<SteadyTime> next;
  if (!device_deadlines_.empty()) next = (*device_deadlines_.begin())->due;
  if (request_deadlines_.empty()) return next;
  const SteadyTime request = request_deadlines_.begin()->first;
  return next ? std::min(*next, request) : request;
}

void LeaseTable::SetDue(Device& device, std::optional<SteadyTime> due) {
  if (device.due == due) return;
  if (!device.due) {
    device.due = due;
    device_deadlines_.insert(&device);
    return;
  }
  auto node = device_deadlines_.extract(&device);
  device.due = due;
  if (due) device_deadlines_.insert(std::move(node));
}

std::uint64_t LeaseTable::NextEpoch(const Device& device) const {
  return std::max(epoch_floor_, device.epoch) + 1;
}

// ---- Wishes, and words.

LeaseTable::Wish* LeaseTable::FindWish(const LeaseRequest& request) {
  const auto found = wishes_.find({request.target, request.time_kind});
  return found == wishes_.end() ? nullptr : &found->second;
}

LeaseTable::Wish& LeaseTable::MakeWish(const std::string& target, const std::string& time_kind) {
  const auto [found, added] = wishes_.try_emplace({target, time_kind}, options_.shares);
  if (added) {
    found->second.target = target;
    found->second.time_kind = time_kind;
  }
  return found->second;
}

void LeaseTable::DropIfUnused(const Wish* wish) {
  if (!wish->devices.empty()) return;
  const WishKey key{wish->target, wish->time_kind};
  served_.erase(key);
  if (wish->queue.empty()) wishes_.erase(key);
}

Status LeaseTable::NoDevice(SteadyTime now, Wish& wish, std::chrono::milliseconds waited) {
  const bool same = wish.stock && wish.stock_changes == changes_;
  const bool recent =
      wish.stock && wish.devices.size() > kManyDevices && now - wish.stock_time < kWordsAge;
  if (!same && !recent) {
    wish.stock.emplace(Stock(wish));
    wish.stock_time = now;
    wish.stock_changes = changes_;
  }
  return wish.stock->NoDevice(waited);
}

namespace {

// Who has the device, or is being given it.
template <typename Offered, typename Leased, typename Use>
std::string HolderOf(const Use& use) {
  if (const auto* offered = std::get_if<Offered>(&use)) return offered->waiting.request.client;
  if (const auto* leased = std::get_if<Leased>(&use)) return leased->lease.client;
  return "";
}

}  // namespace

DeviceStock LeaseTable::Stock(const Wish& wish) const {
  std::map<std::string, std::size_t> holders;
  std::size_t lost = 0;
  DeviceStock stock(wish.target, wish.time_kind);
  for (const Device* device : wish.devices) {
    if (device->session == 0) {
      ++lost;
    } else if (std::holds_alternative<Quarantined>(device->use)) {
      stock.AddQuarantined(device->hello.name, quarantine_.Find(device->hello.name)->reason);
    } else {
      ++holders[HolderOf<Offered, Leased>(device->use)];
    }
  }
  const auto add = [&](const std::string& holder, std::size_t count) {
    while (count-- > 0) stock.Add(wish.target, wish.time_kind, holder, false);
  };
  std::size_t named = 0;
  for (const auto& [holder, count] : holders) {
    const bool name = holder.empty() || named++ < kHoldersNamed;
    add(name ? holder : "others", count);
  }
  while (lost-- > 0) stock.Add(wish.target, wish.time_kind, "", true);
  named = 0;
  for (const auto& [target, time_kind] : served_) {
    if (target == wish.target && time_kind == wish.time_kind) continue;
    if (named++ == kWishesNamed) break;
    stock.Add(target, time_kind, "", false);
  }
  return stock;
}

std::vector<DeviceView> LeaseTable::Devices() const {
  std::vector<DeviceView> views;
  for (const auto& [name, device] : devices_) {
    DeviceView view{device.hello, DeviceStatus::kFree, "", device.epoch};
    view.client = HolderOf<Offered, Leased>(device.use);
    if (std::holds_alternative<Offered>(device.use)) view.status = DeviceStatus::kOffered;
    if (std::holds_alternative<Leased>(device.use)) view.status = DeviceStatus::kLeased;
    if (std::holds_alternative<Quarantined>(device.use)) view.status = DeviceStatus::kQuarantined;
    if (device.session == 0) view.status = DeviceStatus::kLost;
    if (const DeviceRecord* record = quarantine_.Find(name)) view.record = *record;
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<LeaseAction> LeaseTable::TakeActions() { return std::exchange(actions_, {}); }

std::vector<LeaseEvent> LeaseTable::TakeEvents() { return std::exchange(events_, {}); }

void LeaseTable::RecordDevice(LeaseEventKind kind, const DeviceHello& hello, std::uint64_t epoch,
                              const std::string& reason) {
  if (!options_.record_events) return;
  events_.push_back({kind, hello.name, "", "", hello.owner, epoch, reason, hello.target});
}

void LeaseTable::RecordLease(LeaseEventKind kind, const Device& device, const HeldLease& lease,
                             const std::string& reason) {
  if (!options_.record_events) return;
  events_.push_back({kind, device.hello.name, lease.id, lease.client, lease.owner, lease.epoch,
                     reason, device.hello.target});
}

void LeaseTable::RecordRequest(LeaseEventKind kind, const LeaseRequest& request,
                               const std::string& reason) {
  if (!options_.record_events) return;
  events_.push_back(
      {kind, "", request.id, request.client, request.party, 0, reason, request.target});
}

}  // namespace kiln
