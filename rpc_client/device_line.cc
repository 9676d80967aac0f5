#include "rpc_client/device_line.h"

#include <algorithm>

#include "proto/device_stock.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds kListTime{1};  // for one look
constexpr seconds kGrace{1};     // for the tracker's own answer at the end of a wait
constexpr milliseconds kStep{500};
constexpr seconds kWithdrawTime{2};

SteadyTime Now() { return std::chrono::steady_clock::now(); }

SteadyTime After(SteadyTime time, nanoseconds more) {
  return more < SteadyTime::max() - time ? time + more : SteadyTime::max();
}

std::string WishOf(const AcquireRequest& request) {
  return DeviceStock(request.target, Name(request.time_kind)).Wish();
}

}  // namespace

// What a look at the tracker's devices finds.
struct DeviceLine::Seen {
  explicit Seen(const AcquireRequest& request)
      : stock(request.target, Name(request.time_kind)), client(request.client.name) {}
  void Add(const DeviceInfo& device, const AcquireRequest& request) {
    const bool is_lost = device.state == "lost";
    const bool is_wanted = device.target == request.target && device.time_kind == request.time_kind;
    if (is_wanted && device.state == "quarantined") {
      return stock.AddQuarantined(device.name, device.fault);
    }
    stock.Add(device.target, Name(device.time_kind), device.client, is_lost);
    if (!is_wanted) return;
    lost += is_lost;
    if (is_lost || device.client.empty()) return;
    ++leased;
    if (device.client != client) others.insert(device.client);
  }
  DeviceStock stock;
  const std::string& client;
  int leased = 0, lost = 0;
  std::set<std::string> others;  // who have some
};

class DeviceLine::Turn final : public DeviceTurn {
 public:
  Turn(DeviceLine& line, Stock& stock) : line_(line), stock_(stock) {}  // the lock is held
  ~Turn() override {
    const std::lock_guard lock(line_.mutex_);
    --stock_.turns;
    stock_.leases -= has_lease_;
    if (has_lease_) stock_.left = Now();
    line_.changed_.notify_all();
  }
  bool is_last() const override {
    const std::lock_guard lock(line_.mutex_);
    return line_.stopped_;
  }
  void Tell(const LeaseOutcome& outcome) override {
    const std::lock_guard lock(line_.mutex_);
    if (!outcome.fault.empty()) {
      stock_.pause_end = Now() + stock_.pauses.Next();
    } else if (outcome.served) {
      stock_.pauses.Reset();
      stock_.pause_end = {};
    }
  }
  Stock& stock() { return stock_; }
  void BecomeLease() {
    const std::lock_guard lock(line_.mutex_);
    has_lease_ = true;
    ++stock_.leases;
  }

 private:
  DeviceLine& line_;
  Stock& stock_;
  bool has_lease_ = false;
};

DeviceLine::DeviceLine(TrackerClient& tracker, std::function<Status()> prepare,
                       WaitObserver observer, const Options& options)
    : tracker_(tracker),
      prepare_(std::move(prepare)),
      observer_(std::move(observer)),
      options_(options) {}

StatusOr<DeviceLine::Granted> DeviceLine::Acquire(const AcquireRequest& request,
                                                  nanoseconds timeout) {
  const SteadyTime now = Now();
  const Wait wait{request, timeout, now, After(now, timeout)};
  StatusOr<Granted> granted = AwaitLease(wait);
  if (granted.status().code() != StatusCode::kDeadlineExceeded) return granted;
  return NoDevice(wait);
}

StatusOr<DeviceLine::Granted> DeviceLine::AwaitLease(const Wait& wait) {
  BackOff pauses(options_.random, options_.pauses);
  for (;;) {
    RETURN_IF_ERROR(Connect(wait));
    ASSIGN_OR_RETURN(std::shared_ptr<Turn> turn, AwaitTurn(wait));
    StatusOr<GrantedLease> lease = Ask(wait, *turn);
    if (lease.ok()) {
      turn->BecomeLease();
      return Granted{*std::move(lease), std::move(turn)};
    }
    const bool is_over = Now() >= wait.deadline;
    switch (lease.status().code()) {
      case StatusCode::kAborted:  // the turn was one too many
        continue;
      case StatusCode::kUnavailable:
        if (is_over) return lease.status();
        turn.reset();
        tracker_.AwaitDisconnect();
        Pause(wait, pauses.Next());
        continue;
      default:
        return lease.status();
    }
  }
}

void DeviceLine::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

// Ends early if the wait is over.
void DeviceLine::Pause(const Wait& wait, nanoseconds time) {
  std::unique_lock lock(mutex_);
  const SteadyTime end = std::min(After(Now(), time), wait.deadline);
  changed_.wait_until(lock, end, [&] { return stopped_ || Now() >= end; });
}

// In steps: the wait may be stopped, and a server of our own may die meanwhile.
Status DeviceLine::Connect(const Wait& wait) {
  for (;;) {
    if (prepare_) RETURN_IF_ERROR(prepare_());
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return WhyOver(wait, {}, kGrace);
    }
    const SteadyTime now = Now();
    const nanoseconds left = std::max<nanoseconds>(nanoseconds(0), wait.deadline - now);
    const Status connected = tracker_.Connect(std::min<nanoseconds>(kStep, left));
    if (connected.code() != StatusCode::kUnavailable) return connected;
    if (now >= wait.deadline) return NothingAnswers(tracker_.address(), now - wait.begun);
    if (Now() - wait.begun >= options_.moment) {
      Tell("tracker",
           "waiting for the tracker at " + tracker_.address() + ": nothing answers there");
    }
  }
}

StatusOr<std::shared_ptr<DeviceLine::Turn>> DeviceLine::AwaitTurn(const Wait& wait) {
  std::unique_lock lock(mutex_);
  Stock& stock = StockOf(wait);
  for (;;) {
    const bool is_pause = Now() < stock.pause_end;
    if (!is_pause && !stock.is_full()) break;
    RETURN_IF_ERROR(WhyOver(wait, stock, nanoseconds(0)));
    if (is_pause) {
      changed_.wait_until(lock, std::min(stock.pause_end, wait.deadline));
    } else {
      AwaitChange(lock, wait, stock);
    }
  }
  ++stock.turns;
  return std::make_shared<Turn>(*this, stock);
}

// kAborted: there are fewer devices than there seemed to be.
StatusOr<GrantedLease> DeviceLine::Ask(const Wait& wait, Turn& turn) {
  std::optional<StatusOr<GrantedLease>> answer;
  std::unique_ptr<PendingCall> call = tracker_.Acquire(
      wait.request, wait.deadline - Now(), [this, &answer](StatusOr<GrantedLease> given) {
        const std::lock_guard lock(mutex_);
        answer.emplace(std::move(given));
        changed_.notify_all();
      });
  Status over;
  {
    std::unique_lock lock(mutex_);
    while (!answer) {
      over = turn.stock().is_overfull() ? Error(StatusCode::kAborted, "too many turns")
                                        : WhyOver(wait, turn.stock(), kGrace);
      if (!over.ok()) break;
      AwaitChange(lock, wait, turn.stock());
    }
  }
  if (!over.ok()) call->Cancel();
  call.reset();  // waits for the answer, which may be a lease all the same
  if (!answer->ok() && !over.ok()) {
    // A grant may have crossed the cancellation. Without an answer the lease expires by itself.
    tracker_.Withdraw(wait.request.lease_id, kWithdrawTime).IgnoreError();
    return over;
  }
  const bool too_late = answer->status().code() == StatusCode::kDeadlineExceeded;
  if (!too_late || Now() >= wait.deadline) return *std::move(answer);
  return Error(StatusCode::kAborted, "the longest wait at a tracker is over, ours is not");
}

// The lock is held. A stock stays where it is.
DeviceLine::Stock& DeviceLine::StockOf(const Wait& wait) {
  const auto [found, added] = stocks_.try_emplace({wait.request.target, wait.request.time_kind});
  if (added) found->second.pauses = BackOff(options_.random, options_.pauses);
  return found->second;
}

// Waits for a moment, or looks what there is, if it is time to.
void DeviceLine::AwaitChange(std::unique_lock<std::mutex>& lock, const Wait& wait, Stock& stock) {
  const SteadyTime look = stock.listed + (stock.leases > 0 ? options_.seldom : options_.often);
  const SteadyTime now = Now();
  if (now < look) {
    // Not later than the deadline, but the answer then is the tracker's.
    const SteadyTime end = wait.deadline > now ? wait.deadline : After(wait.deadline, kGrace);
    changed_.wait_until(lock, std::min(look, end));
    return;
  }
  stock.listed = now;
  lock.unlock();
  Look(wait, stock);
  lock.lock();
}

void DeviceLine::Look(const Wait& wait, Stock& stock) {
  const StatusOr<FarmInfo> farm = tracker_.List(kListTime);
  Seen seen(wait.request);
  if (farm.ok()) {
    for (const DeviceInfo& device : farm->devices) seen.Add(device, wait.request);
  }
  const DeviceStock& found = seen.stock;
  bool has_none = false;
  std::optional<SteadyTime> left;
  {
    const std::lock_guard lock(mutex_);
    stock.registered = farm.ok() ? std::optional(found.registered()) : std::nullopt;
    stock.quarantined = found.quarantined();
    stock.words = farm.ok() ? found.Describe() : "";
    if (!farm.ok() || found.registered() > 0) stock.absent_since = Now();
    has_none = stock.leases == 0;
    left = stock.left;
    changed_.notify_all();
  }
  if (has_none && farm.ok() && Now() < wait.deadline) TellWhatThereIs(wait, seen, left);
}

// Who shares a device waits for a turn again and again: that is said once, and waiting is only when
// it lasts.
void DeviceLine::TellWhatThereIs(const Wait& wait, const Seen& seen,
                                 std::optional<SteadyTime> left) {
  const bool is_shared = left && !seen.others.empty();
  if (is_shared) TellSharing(seen);
  const SteadyTime since = std::max(wait.begun, left.value_or(wait.begun));
  if (Now() - since < (is_shared ? options_.round : options_.moment)) return;
  const auto part = [](int count) { return " " + std::to_string(count); };
  Tell(seen.stock.Wish() + part(seen.stock.registered()) + part(seen.leased) + part(seen.lost) +
           part(seen.stock.quarantined()),
       "waiting for a " + seen.stock.Wish() + " device: " + seen.stock.Describe());
}

// Once for each of those whom it is shared with.
void DeviceLine::TellSharing(const Seen& seen) {
  if (!observer_) return;
  const std::lock_guard lock(tell_mutex_);
  std::string names;
  for (const std::string& other : seen.others) {
    if (sharers_.insert(other).second) names += (names.empty() ? "" : ", ") + other;
  }
  if (names.empty()) return;
  observer_("sharing the " + seen.stock.Wish() +
            (seen.stock.registered() == 1 ? " device with " : " devices with ") + names);
}

// Ok: it is not over. kDeadlineExceeded: see NoDevice().
Status DeviceLine::WhyOver(const Wait& wait, const Stock& stock, nanoseconds grace) const {
  if (stopped_) {
    return Error(StatusCode::kCancelled, "stopped waiting for a ", WishOf(wait.request), " device");
  }
  const SteadyTime now = Now();
  const bool is_absent = stock.registered == 0 && stock.leases == 0 &&
                         now - std::max(wait.begun, stock.absent_since) >= options_.absent;
  if (!is_absent && now < After(wait.deadline, grace)) return absl::OkStatus();
  return Error(StatusCode::kDeadlineExceeded, "no device");
}

// Says what there is now, which may be more than when somebody looked last.
Status DeviceLine::NoDevice(const Wait& wait) {
  const nanoseconds waited = Now() >= wait.deadline ? wait.timeout : options_.absent;
  std::unique_lock lock(mutex_);
  Stock& stock = StockOf(wait);
  lock.unlock();
  Look(wait, stock);
  lock.lock();
  return Error(StatusCode::kDeadlineExceeded, "no device for ", WishOf(wait.request), " within ",
               DescribeTime(std::chrono::duration_cast<milliseconds>(waited)), " (",
               stock.words.empty() ? "the tracker does not answer" : stock.words, ")");
}

// Once, whichever thread comes first, until something else is to be told. What is of the same kind,
// where devices only go from hand to hand, is told again after a while only.
void DeviceLine::Tell(const std::string& kind, const std::string& what) {
  if (!observer_) return;
  const std::lock_guard lock(tell_mutex_);
  const SteadyTime now = Now();
  if (what == told_.what || (kind == told_.kind && now - told_.when < options_.round)) return;
  told_ = {kind, what, now};
  observer_(what);
}

}  // namespace kiln
