#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "rpc_client/back_off.h"
#include "rpc_client/rpc_client.h"
#include "rpc_client/tracker_client.h"

namespace kiln {

// This is the right to ask for one device and to have it: taken before a lease, let go with it.
class DeviceTurn {
 public:
  virtual ~DeviceTurn() = default;
  // No other one is to be had: the line was stopped. Thread-safe.
  virtual bool is_last() const = 0;
  // How the lease was, before it goes: the device has failed, or served. After a failure the next
  // request waits for a while.
  virtual void Tell(const LeaseOutcome& outcome) = 0;
};

// This is where the threads of one client wait for the devices of a tracker. It knows how many
// devices of each wish (a target and a kind of times) the tracker has, and lets no more than so many
// requests and leases of the client exist at a time: threads beyond that wait here for a turn, not
// in the tracker's queue in front of other clients. While somebody waits, one of them asks now and
// then what there is. Thread-safe.
class DeviceLine {
 public:
  struct Options {
    std::chrono::nanoseconds moment = std::chrono::seconds(2);  // a wait not worth a word
    // The same between two turns on a device that is shared, and before other holders are named.
    std::chrono::nanoseconds round = std::chrono::seconds(30);
    std::chrono::nanoseconds absent = std::chrono::seconds(30);  // where none is registered
    // Between two looks at the tracker's devices: while nothing is had, and when more may have come.
    std::chrono::nanoseconds often = std::chrono::seconds(1), seldom = std::chrono::seconds(10);
    // After a request that failed, or a lease of a device that did, before the next request: many
    // clients must not come at once to a tracker that is back, or a device on probation.
    std::function<double()> random = nullptr;  // uniform in [0, 1), thread-safe; null: 1
    BackOff::Options pauses = {};
  };
  // `prepare` is called before each attempt to reach the tracker; its error ends the wait.
  DeviceLine(TrackerClient& tracker, std::function<Status()> prepare, WaitObserver observer,
             const Options& options);

  // A lease, and the turn in which it was had: let it go when the device is given back.
  struct Granted {
    GrantedLease lease;
    std::shared_ptr<DeviceTurn> turn;
  };
  // As DevicePool::Acquire(). Goes on through restarts of the tracker: a request with the same id is
  // the same request.
  StatusOr<Granted> Acquire(const AcquireRequest& request, std::chrono::nanoseconds timeout);

  // As DevicePool::StopWaiting().
  void Stop();

 private:
  // One Acquire() on its way.
  struct Wait {
    const AcquireRequest& request;
    std::chrono::nanoseconds timeout;
    SteadyTime begun, deadline;
  };
  // What the tracker has for a wish, and what of it is ours.
  struct Stock {
    std::optional<int> registered;  // unset: it has not said
    int quarantined = 0;            // of those
    std::string words;              // "2 registered, 1 leased by ann@box:12"
    SteadyTime listed;              // when it was asked
    SteadyTime absent_since;        // the last time when there was one, or nobody could tell
    int turns = 0;                  // requests and leases
    int leases = 0;
    std::optional<SteadyTime> left;  // when the last lease so far went
    BackOff pauses;                  // after failures of devices
    SteadyTime pause_end;
    int usable(int unknown) const { return registered ? *registered - quarantined : unknown; }
    bool is_full() const { return turns >= std::max(1, usable(1)); }
    bool is_overfull() const { return turns > std::max(1, usable(turns)); }
  };
  class Turn;

  StatusOr<Granted> AwaitLease(const Wait& wait);
  Status Connect(const Wait& wait);
  StatusOr<std::shared_ptr<Turn>> AwaitTurn(const Wait& wait);
  StatusOr<GrantedLease> Ask(const Wait& wait, Turn& turn);
  Stock& StockOf(const Wait& wait);
  void Pause(const Wait& wait, std::chrono::nanoseconds time);
  void AwaitChange(std::unique_lock<std::mutex>& lock, const Wait& wait, Stock& stock);
  void Look(const Wait& wait, Stock& stock);
  Status WhyOver(const Wait& wait, const Stock& stock, std::chrono::nanoseconds grace) const;
  Status NoDevice(const Wait& wait);
  struct Seen;  // at one look
  void TellWhatThereIs(const Wait& wait, const Seen& seen, std::optional<SteadyTime> left);
  void TellSharing(const Seen& seen);
  void Tell(const std::string& kind, const std::string& what);

  TrackerClient& tracker_;
  const std::function<Status()> prepare_;
  const WaitObserver observer_;
  const Options options_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::map<std::pair<std::string, TimeKind>, Stock> stocks_;
  bool stopped_ = false;
  std::mutex tell_mutex_;  // guards what follows
  struct {
    std::string kind, what;
    SteadyTime when;
  } told_;                         // last
  std::set<std::string> sharers_;  // with whom it is said that devices are shared
};

}  // namespace kiln
