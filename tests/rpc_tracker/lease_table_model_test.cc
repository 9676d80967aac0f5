// The lease table against a slow reference over random histories: the same calls must leave the same
// actions. The reference keeps plain lists, finds everything by looking at all of it, and says the rules
// of fair_queue.h, waiting_limits.h and lease_table.h once more, without an index.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "base/rng.h"
#include "rpc_tracker/lease_table.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;

const LeaseTableOptions kOptions{
    .waiting = {.of_client = 4, .of_party = 6, .in_all = 9},
    .quarantine = {.time = milliseconds(4'000), .longest = milliseconds(20'000)}};

// Actions as text, so that they are compared and printed alike.
template <typename... Parts>
std::string Text(const Parts&... parts) {
  std::ostringstream text;
  ((text << parts << ' '), ...);
  return text.str();
}
std::string Describe(const SendGrant& grant) {
  return Text("grant", grant.session, grant.lease.id, grant.lease.client, grant.lease.owner,
              grant.lease.epoch);
}
std::string Describe(const SendRevoke& revoke) {
  return Text("revoke", revoke.session, revoke.epoch);
}
std::string Describe(const EndSession& end) { return Text("end", end.session, end.why.code()); }
std::string Describe(const AnswerRequest& answer) {
  if (!answer.answer.ok()) return Text("answer", answer.id, answer.answer.status().code());
  return Text("answer", answer.id, answer.answer->device, answer.answer->epoch);
}
std::string Describe(const TellQuarantine& told) {
  return Text("quarantine", told.device, told.record.failures, told.record.reason,
              told.time.count());
}

class Reference {
 public:
  std::vector<std::string> actions;

  SessionId Register(SteadyTime now, const DeviceHello& hello) {
    Advance(now);
    Device& device = DeviceNamed(hello.name);
    if (device.session != 0) {
      const SessionId old = device.session;
      Drop(now, device);
      Act(EndSession{old, Error(StatusCode::kUnavailable, "")});
    }
    const bool kept = device.use == Use::kLeased && hello.held &&
                      hello.held->id == device.request.id && hello.held->epoch == device.epoch;
    if (device.use == Use::kLeased && !kept) EndTurn(device);
    device.target = hello.target;
    device.session = ++sessions_;
    if (hello.held && !kept) Act(SendRevoke{device.session, hello.held->epoch});
    if (!kept) Rest(now, device);
    Match(now, device.target);
    return device.session;
  }

  void Disconnect(SteadyTime now, SessionId session) {
    Advance(now);
    Device* device = DeviceOf(session);
    if (!device) return;
    Drop(now, *device);
    Match(now, device->target);
  }

  void Acknowledge(SteadyTime now, SessionId session, std::uint64_t epoch) {
    Advance(now);
    Device* device = DeviceOf(session);
    if (!device || device->use != Use::kOffered || device->epoch != epoch) return;
    device->use = Use::kLeased;
    device->since = now;
    device->deadline = now + kOptions.ttl;
    device->charged = contended_[device->target];
    device->asked.reset();
    device->counted = false;
    device->blamed = false;
    AnswerWith(*device);
  }

  StatusCode Request(SteadyTime now, const LeaseRequest& request) {
    Advance(now);
    for (Waiting& waiting : requests_) {
      if (waiting.id != request.id) continue;
      if (waiting.party != request.party) return StatusCode::kPermissionDenied;
      waiting.deadline = now + request.wait;
      return StatusCode::kOk;
    }
    for (Device& device : devices_) {
      if (!HasRequest(device) || device.request.id != request.id) continue;
      if (device.request.party != request.party) return StatusCode::kPermissionDenied;
      if (device.use == Use::kOffered) {
        device.request.deadline = now + request.wait;
      } else {
        device.deadline = now + kOptions.ttl;
        AnswerWith(device);
      }
      return StatusCode::kOk;
    }
    if (!FreeDevice(request.target)) {
      if (request.wait.count() <= 0) {
        Act(AnswerRequest{request.id, Error(StatusCode::kDeadlineExceeded, "")});
        return StatusCode::kOk;
      }
      if (!MakeRoom(request)) return StatusCode::kResourceExhausted;
    }
    Waiting waiting;
    static_cast<LeaseRequest&>(waiting) = request;
    waiting.arrival = ++arrivals_;
    waiting.deadline = now + request.wait;
    Join(waiting);
    Add(waiting);
    Match(now, request.target);
    return StatusCode::kOk;
  }

  StatusCode Cancel(SteadyTime now, const std::string& id, const std::string& party) {
    Advance(now);
    for (const Waiting& waiting : requests_) {
      if (waiting.id != id) continue;
      if (waiting.party != party) return StatusCode::kPermissionDenied;
      Remove(waiting.arrival);
      return StatusCode::kOk;
    }
    for (Device& device : devices_) {
      if (!HasRequest(device) || device.request.id != id) continue;
      if (device.request.party != party) return StatusCode::kPermissionDenied;
      End(now, device);
      return StatusCode::kOk;
    }
    return StatusCode::kOk;
  }

  std::string Renew(SteadyTime now, const LeaseClaim& claim) {
    Advance(now);
    Device* device = Leased(claim);
    if (!device) return "over";
    if (device->request.party != claim.party) return "foreign";
    device->deadline = now + kOptions.ttl;
    Charge(*device);
    return GiveBack(now, *device) ? "give back" : "keep";
  }

  void Release(SteadyTime now, const LeaseClaim& claim, const LeaseReport& report) {
    Advance(now);
    Device* device = Leased(claim);
    if (!device || device->request.party != claim.party) return;
    if (!report.fault.empty()) {
      if (!device->blamed) Fail(now, *device, report.fault);
    } else if (report.served) {
      device->failures = 0;
      device->until.reset();
    }
    End(now, *device);
  }

  void Tick(SteadyTime now) {
    Advance(now);
    while (Device* device = Due(now)) {
      if (device->use == Use::kLeased) {
        End(now, *device);
        continue;
      }
      if (device->use == Use::kQuarantined) {
        device->use = Use::kNone;
        Rest(now, *device);
        Match(now, device->target);
        continue;
      }
      const SessionId session = device->session;
      Drop(now, *device);
      Fail(now, *device,
           Text("the device did not acknowledge epoch", device->epoch) + "within 5 s");
      Act(EndSession{session, Error(StatusCode::kDeadlineExceeded, "")});
      Match(now, device->target);
    }
    while (!requests_.empty()) {
      const auto first = std::min_element(
          requests_.begin(), requests_.end(), [](const Waiting& a, const Waiting& b) {
            return std::pair(a.deadline, a.arrival) < std::pair(b.deadline, b.arrival);
          });
      if (first->deadline > now) break;
      Act(AnswerRequest{first->id, Error(StatusCode::kDeadlineExceeded, "")});
      Remove(first->arrival);
    }
  }

  std::optional<SteadyTime> NextTick() const {
    std::optional<SteadyTime> next;
    const auto consider = [&](SteadyTime time) { next = next ? std::min(*next, time) : time; };
    for (const Waiting& waiting : requests_) consider(waiting.deadline);
    for (const Device& device : devices_) {
      if (device.use != Use::kNone) {
        consider(device.deadline);
      } else if (device.session == 0) {
        consider(device.lost_since + kOptions.forget_lost);
      }
    }
    return next;
  }

  std::size_t waiting() const { return requests_.size(); }

 private:
  enum class Use { kNone, kQuarantined, kOffered, kLeased };
  struct Waiting : LeaseRequest {
    std::uint64_t arrival = 0;
    SteadyTime deadline;
  };
  struct Device {
    std::string name, target;
    SessionId session = 0;
    std::uint64_t epoch = 0;
    Use use = Use::kNone;
    Waiting request;  // offered or leased
    SteadyTime deadline, since, lost_since;
    std::uint64_t rests = 0;  // grows with every device that becomes free
    std::optional<SteadyTime> asked;
    bool counted = false;
    bool blamed = false;  // its present lease has cost it a failure
    int failures = 0;
    std::optional<SteadyTime> until;
    Nanoseconds credit{0}, charged{0};
    std::uint64_t before[2], after[2];  // places of the party and the client
  };
  struct Account {
    std::string level;  // target, or target and party
    Nanoseconds used{0};
    std::uint64_t place = 0;
  };
  static bool HasRequest(const Device& device) {
    return device.use == Use::kOffered || device.use == Use::kLeased;
  }
  using Name = std::pair<std::string, std::string>;  // of an account: its level, and whose

  static std::string PartyLevel(const LeaseRequest& request) { return request.target; }
  static std::string ClientLevel(const LeaseRequest& request) {
    return request.target + "/" + request.party;
  }
  Account& PartyOf(const LeaseRequest& request) {
    return AccountOf({PartyLevel(request), request.party});
  }
  Account& ClientOf(const LeaseRequest& request) {
    return AccountOf({ClientLevel(request), request.client});
  }
  Account& AccountOf(const Name& name) {
    const auto [found, added] = accounts_.try_emplace(name);
    if (added) found->second = {name.first, present_[name.first], ++places_};
    return found->second;
  }
  static bool Concerns(const Name& account, const LeaseRequest& request) {
    return account == Name(PartyLevel(request), request.party) ||
           account == Name(ClientLevel(request), request.client);
  }
  bool IsWaiting(const Name& name) const {
    return std::any_of(requests_.begin(), requests_.end(),
                       [&](const Waiting& waiting) { return Concerns(name, waiting); });
  }
  bool IsBusy(const Name& name) const {
    return IsWaiting(name) ||
           std::any_of(devices_.begin(), devices_.end(), [&](const Device& device) {
             return HasRequest(device) && Concerns(name, device.request);
           });
  }
  // Forgets the accounts that want nothing and owe nothing.
  void Sweep() {
    std::map<std::string, bool> busy;
    for (const auto& [name, account] : accounts_) busy[account.level] |= IsBusy(name);
    std::erase_if(accounts_, [&](const auto& entry) {
      const auto& [name, account] = entry;
      return !busy[account.level] || (!IsBusy(name) && account.used <= present_[account.level]);
    });
    for (const auto& [level, any] : busy) {
      if (!any) present_[level] = Nanoseconds(0);
    }
  }

  void Advance(SteadyTime now) {
    std::map<std::string, bool> wanted;
    for (const Waiting& waiting : requests_) wanted[waiting.target] = true;
    for (const auto& [target, yes] : wanted) contended_[target] += now - now_;
    now_ = now;
  }

  void Join(const LeaseRequest& request) {
    for (const Name& name :
         {Name(PartyLevel(request), request.party), Name(ClientLevel(request), request.client)}) {
      Account& account = AccountOf(name);
      if (IsWaiting(name)) continue;
      account.used = std::max(account.used, present_[account.level]);
      account.place = ++places_;
    }
  }

  void Serve(Device& device, const Waiting& request) {
    Account* levels[] = {&PartyOf(request), &ClientOf(request)};
    for (int i = 0; i < 2; ++i) {
      Account& account = *levels[i];
      present_[account.level] = std::max(present_[account.level], account.used);
      account.used += kOptions.shares.least;
      device.before[i] = account.place;
      device.after[i] = account.place = ++places_;
    }
    device.credit = kOptions.shares.least;
  }

  void PutBack(Device& device) {
    Account* levels[] = {&PartyOf(device.request), &ClientOf(device.request)};
    for (int i = 0; i < 2; ++i) {
      levels[i]->used -= kOptions.shares.least;
      if (levels[i]->place == device.after[i]) levels[i]->place = device.before[i];
    }
    device.use = Use::kNone;
    Add(device.request);
  }

  void Charge(Device& device) {
    Nanoseconds cost = contended_[device.target] - device.charged;
    device.charged = contended_[device.target];
    const Nanoseconds prepaid = std::min(cost, device.credit);
    device.credit -= prepaid;
    for (Account* account : {&PartyOf(device.request), &ClientOf(device.request)}) {
      const Nanoseconds most =
          std::max(account->used, present_[account->level] + kOptions.shares.debt);
      account->used = std::min(account->used + cost - prepaid, most);
    }
  }

  void Add(const Waiting& waiting) {
    const Name client(waiting.party, waiting.client);
    if (CountOf(client) == 0) numbers_[client] = ++last_number_;
    requests_.push_back(waiting);
  }
  void Remove(std::uint64_t arrival) {
    std::erase_if(requests_, [&](const Waiting& waiting) { return waiting.arrival == arrival; });
    Sweep();
  }

  std::size_t CountOf(const Name& client) const {
    return static_cast<std::size_t>(std::count_if(
        requests_.begin(), requests_.end(),
        [&](const Waiting& waiting) { return client == Name(waiting.party, waiting.client); }));
  }
  bool MakeRoom(const LeaseRequest& request) {
    const std::size_t own = CountOf({request.party, request.client});
    if (own >= kOptions.waiting.of_client) return false;
    const auto of_party = static_cast<std::size_t>(
        std::count_if(requests_.begin(), requests_.end(),
                      [&](const Waiting& waiting) { return waiting.party == request.party; }));
    const bool party_full = of_party >= kOptions.waiting.of_party;
    if (!party_full && requests_.size() < kOptions.waiting.in_all) return true;
    std::tuple<std::size_t, std::uint64_t, std::uint64_t> most;  // count, number, newest
    for (const Waiting& waiting : requests_) {
      if (party_full && waiting.party != request.party) continue;
      const Name client(waiting.party, waiting.client);
      most = std::max(most, {CountOf(client), numbers_[client], waiting.arrival});
    }
    if (own + 1 >= std::get<0>(most)) return false;
    for (const Waiting& waiting : requests_) {
      if (waiting.arrival != std::get<2>(most)) continue;
      Act(AnswerRequest{waiting.id, Error(StatusCode::kResourceExhausted, "")});
      break;
    }
    Remove(std::get<2>(most));
    return true;
  }

  void Drop(SteadyTime now, Device& device) {
    device.session = 0;
    device.lost_since = now;
    if (device.use == Use::kOffered) PutBack(device);
    if (device.use == Use::kQuarantined) device.use = Use::kNone;
    if (device.use == Use::kLeased && !std::exchange(device.blamed, true)) {
      Fail(now, device, "its connection was lost during a lease");
    }
  }
  void Fail(SteadyTime now, Device& device, const std::string& reason) {
    ++device.failures;
    if (device.failures < kOptions.quarantine.tolerated_failures) return;
    milliseconds time = kOptions.quarantine.time * (1 << std::min(device.failures - 3, 10));
    time = std::min(time, kOptions.quarantine.longest);
    device.until = now + time;
    Act(TellQuarantine{device.name, {"", device.failures, reason}, time});
  }

  void EndTurn(Device& device) {
    Charge(device);
    device.use = Use::kNone;
    Sweep();
  }
  void End(SteadyTime now, Device& device) {
    EndTurn(device);
    if (device.session == 0) return;
    Act(SendRevoke{device.session, device.epoch});
    Rest(now, device);
    Match(now, device.target);
  }
  void Rest(SteadyTime now, Device& device) {
    if (device.until && *device.until > now) {
      device.use = Use::kQuarantined;
      device.deadline = *device.until;
      return;
    }
    device.until.reset();
    device.rests = ++rests_;
  }

  Device* FreeDevice(const std::string& target) {
    Device* best = nullptr;
    for (Device& device : devices_) {
      if (device.session == 0 || device.use != Use::kNone || device.target != target) continue;
      const auto rank = [](const Device& one) { return std::pair(one.failures, one.rests); };
      if (!best || rank(device) < rank(*best)) best = &device;
    }
    return best;
  }

  void Match(SteadyTime now, const std::string& target) {
    for (;;) {
      Device* device = FreeDevice(target);
      const Waiting* best = nullptr;
      for (const Waiting& waiting : requests_) {
        if (waiting.target == target && (!best || Before(waiting, *best))) best = &waiting;
      }
      if (!device || !best) return;
      const Waiting request = *best;
      Serve(*device, request);
      std::erase_if(requests_, [&](const auto& other) { return other.arrival == request.arrival; });
      device->use = Use::kOffered;
      device->request = request;
      device->charged = contended_[target];
      device->deadline = now + kOptions.ack_timeout;
      ++device->epoch;
      Sweep();
      Act(SendGrant{device->session, {request.id, request.client, device->epoch, request.party}});
    }
  }

  bool Before(const Waiting& a, const Waiting& b) {
    const auto rank = [this](const Waiting& waiting) {
      const Account &party = PartyOf(waiting), &client = ClientOf(waiting);
      return std::tuple(party.used, party.place, client.used, client.place, -waiting.priority,
                        waiting.arrival);
    };
    return rank(a) < rank(b);
  }

  // Devices that a party has, or one client of it.
  std::size_t Held(const std::string& target, const std::string& party, const std::string& client) {
    return static_cast<std::size_t>(
        std::count_if(devices_.begin(), devices_.end(), [&](const Device& device) {
          return (device.use == Use::kLeased || device.use == Use::kOffered) &&
                 device.target == target && device.request.party == party &&
                 (client.empty() || device.request.client == client);
        }));
  }

  // Whether somebody waits who has less and whose turn comes before the holder's, its own requests
  // left aside.
  bool GiveBack(SteadyTime now, Device& holder) {
    const Account &party = PartyOf(holder.request), &client = ClientOf(holder.request);
    bool due = false;
    std::size_t others = 0;
    int asked = 0;
    for (const Waiting& waiting : requests_) {
      if (waiting.target != holder.target) continue;
      const bool same_party = waiting.party == holder.request.party;
      if (same_party && waiting.client == holder.request.client) continue;
      ++others;
      const Account& theirs = same_party ? ClientOf(waiting) : PartyOf(waiting);
      const Account& own = same_party ? client : party;
      due |= std::pair(theirs.used, theirs.place) < std::pair(own.used, own.place) &&
             Held(holder.target, waiting.party, same_party ? waiting.client : "") <
                 Held(holder.target, holder.request.party, same_party ? holder.request.client : "");
    }
    if (!due || now - holder.since < kOptions.turn) others = 0;
    if (others == 0 || (holder.asked && now - *holder.asked >= kOptions.ttl)) {
      holder.counted = false;
    }
    if (others == 0) holder.asked.reset();
    if (others == 0 || holder.asked) return others > 0;
    for (const Device& device : devices_) {
      asked += device.use == Use::kLeased && device.target == holder.target && device.counted;
    }
    if (static_cast<std::size_t>(asked) >= others) return false;
    holder.asked = now;
    holder.counted = true;
    return true;
  }

  Device& DeviceNamed(const std::string& name) {
    for (Device& device : devices_) {
      if (device.name == name) return device;
    }
    devices_.emplace_back().name = name;
    return devices_.back();
  }
  Device* DeviceOf(SessionId session) {
    for (Device& device : devices_) {
      if (session != 0 && device.session == session) return &device;
    }
    return nullptr;
  }
  Device* Leased(const LeaseClaim& claim) {
    for (Device& device : devices_) {
      if (device.name == claim.device && device.use == Use::kLeased &&
          device.request.id == claim.id && device.epoch == claim.epoch) {
        return &device;
      }
    }
    return nullptr;
  }
  Device* Due(SteadyTime now) {
    Device* first = nullptr;
    for (Device& device : devices_) {
      if (device.use == Use::kNone || device.deadline > now) continue;
      if (!first || device.deadline < first->deadline) first = &device;
    }
    return first;
  }
  void AnswerWith(const Device& device) {
    Act(AnswerRequest{device.request.id, LeaseGrant{"", device.epoch, device.name}});
  }
  template <typename Action>
  void Act(const Action& action) {
    actions.push_back(Describe(action));
  }

  SteadyTime now_{};
  std::vector<Device> devices_;
  std::vector<Waiting> requests_;
  std::map<Name, Account> accounts_;
  std::map<std::string, Nanoseconds> present_, contended_;  // by level, by target
  std::map<Name, std::uint64_t> numbers_;                   // of clients
  SessionId sessions_ = 0;
  std::uint64_t arrivals_ = 0, places_ = 0, rests_ = 0, last_number_ = 0;
};

// Makes the same calls to both, and compares.
class Duel {
 public:
  explicit Duel(std::uint64_t seed) : rng_(seed) {}

  void Step() {
    now_ += rng_.Below(3) == 0 ? milliseconds(rng_.Below(3'000)) : milliseconds(rng_.Below(40));
    switch (rng_.Below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        Request();
        break;
      case 4:
        rng_.Below(4) == 0 ? Disconnect() : Connect();
        break;
      case 5:
      case 6:
        Acknowledge();
        break;
      case 7:
        Renew();
        break;
      case 8:
        rng_.Below(4) == 0 ? Cancel() : Release();
        break;
      case 9:
        break;
    }
    table_.Tick(now_);
    reference_.Tick(now_);
    Compare();
  }

  std::size_t grants() const { return grants_.size(); }
  int given_back() const { return given_back_; }
  int quarantines() const { return quarantines_; }

 private:
  struct Program {
    SessionId session = 0;
    std::uint64_t offered = 0;
    std::optional<HeldLease> held;
  };

  std::string Any(const char* kind, std::uint64_t count) {
    return kind + std::to_string(rng_.Below(count));
  }

  void Request() {
    LeaseRequest request;
    request.id =
        rng_.Below(20) == 0 ? std::to_string(rng_.Below(ids_ + 1)) : std::to_string(++ids_);
    request.party = Any("party", 3);
    request.client = Any("client", 2);
    request.target = Any("target", 2);
    request.priority = static_cast<std::int32_t>(rng_.Between(-1, 1));
    request.wait = rng_.Below(10) == 0 ? milliseconds(0) : milliseconds(rng_.Below(60'000));
    ASSERT_EQ(table_.Request(now_, request).code(), reference_.Request(now_, request));
  }

  void Connect() {
    const std::string name = Any("device", 5);
    Program& program = programs_[name];
    DeviceHello hello;
    hello.name = name;
    hello.instance = "same";
    hello.target = "target" + std::to_string(name.back() % 2);
    if (rng_.Below(3) == 0) program.held.reset();
    hello.held = program.held;
    hello.highest_epoch = program.held ? program.held->epoch : 0;
    const StatusOr<SessionId> session = table_.Register(now_, hello);
    ASSERT_TRUE(session.ok()) << session.status();
    ASSERT_EQ(*session, reference_.Register(now_, hello));
    program.session = *session;
  }

  void Disconnect() {
    const SessionId session = programs_[Any("device", 5)].session;
    table_.Disconnect(now_, session);
    reference_.Disconnect(now_, session);
  }

  void Acknowledge() {
    for (auto& [name, program] : programs_) {
      if (rng_.Below(3) == 0) continue;
      table_.Acknowledge(now_, program.session, program.offered);
      reference_.Acknowledge(now_, program.session, program.offered);
    }
  }

  // A lease, mostly one of the latest, sometimes of a stranger.
  std::optional<LeaseClaim> AnyClaim() {
    if (grants_.empty()) return std::nullopt;
    const std::size_t back = rng_.Below(std::min<std::size_t>(grants_.size(), 6)) + 1;
    const auto& [device, lease] = grants_[grants_.size() - back];
    const std::string_view owner = lease.owner;
    return LeaseClaim{rng_.Below(10) == 0 ? "stranger" : owner, device, lease.id, lease.epoch};
  }

  void Renew() {
    const auto claim = AnyClaim();
    if (!claim) return;
    const StatusOr<Renewal> renewal = table_.Renew(now_, *claim);
    std::string outcome = "over";
    if (renewal.ok()) outcome = renewal->give_back ? "give back" : "keep";
    if (renewal.status().code() == StatusCode::kPermissionDenied) outcome = "foreign";
    ASSERT_EQ(outcome, reference_.Renew(now_, *claim));
    if (outcome == "give back") ++given_back_;
  }

  void Release() {
    const auto claim = AnyClaim();
    if (!claim) return;
    LeaseReport report;
    switch (rng_.Below(3)) {
      case 0:
        report.fault = Any("fault", 3);
        break;
      case 1:
        report.served = true;
        break;
      default:
        break;
    }
    (void)table_.Release(now_, *claim, report);
    reference_.Release(now_, *claim, report);
  }

  void Cancel() {
    const std::string id = std::to_string(rng_.Below(ids_ + 1)), party = Any("party", 3);
    ASSERT_EQ(table_.Cancel(now_, id, party).code(), reference_.Cancel(now_, id, party));
  }

  void Compare() {
    std::vector<std::string> actions;
    for (const LeaseAction& action : table_.TakeActions()) {
      quarantines_ += std::holds_alternative<TellQuarantine>(action);
      actions.push_back(std::visit([](const auto& known) { return Describe(known); }, action));
      if (const auto* grant = std::get_if<SendGrant>(&action)) Granted(*grant);
    }
    ASSERT_EQ(actions, std::exchange(reference_.actions, {}));
    ASSERT_EQ(table_.NextTick(), reference_.NextTick());
    ASSERT_EQ(table_.waiting(), reference_.waiting());
  }

  void Granted(const SendGrant& grant) {
    for (auto& [name, program] : programs_) {
      if (program.session != grant.session) continue;
      program.offered = grant.lease.epoch;
      program.held = grant.lease;
      grants_.emplace_back(name, grant.lease);
    }
  }

  Rng rng_;
  SteadyTime now_{};
  LeaseTable table_{kOptions, now_};
  Reference reference_;
  std::map<std::string, Program> programs_;
  std::vector<std::pair<std::string, HeldLease>> grants_;
  std::uint64_t ids_ = 0;
  int given_back_ = 0, quarantines_ = 0;
};

TEST(LeaseTableModelTest, DoesWhatTheSlowReferenceDoes) {
  int given_back = 0, quarantines = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Duel duel(seed);
    for (int step = 0; step < 500 && !testing::Test::HasFatalFailure(); ++step) {
      SCOPED_TRACE(step);
      duel.Step();
    }
    ASSERT_FALSE(testing::Test::HasFatalFailure());
    EXPECT_GT(duel.grants(), 20u);
    given_back += duel.given_back();
    quarantines += duel.quarantines();
  }
  EXPECT_GT(quarantines, 100);
  EXPECT_GT(given_back, 100);
}

}  // namespace
}  // namespace kiln
