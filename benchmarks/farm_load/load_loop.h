#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace kiln::load {

class Alarm;
class Deferred;

// This is the one thread of the load generator: descriptors, timers, and what is put off to the end of a
// batch of events, so nothing in it needs a lock. A batch is all that has happened when the loop looks:
// what it makes a connection say goes out together when all of it has been taken in.
class LoadLoop {
 public:
  // Whoever is told what happens to a descriptor.
  class Watcher {
   public:
    virtual void OnEvents(std::uint32_t events) = 0;  // EPOLLIN, EPOLLOUT, ...

   protected:
    ~Watcher() = default;
  };

  LoadLoop();
  ~LoadLoop();
  LoadLoop(const LoadLoop&) = delete;
  LoadLoop& operator=(const LoadLoop&) = delete;

  // From then on each change is told once (EPOLLET): whoever reads reads until there is nothing left.
  // Returns an error number, or 0.
  int Watch(int fd, Watcher& watcher);
  // Before the descriptor is closed.
  void Forget(int fd, Watcher& watcher);

  static SteadyTime Now() { return std::chrono::steady_clock::now(); }
  // When the batch under way began: for whom a clock is too dear.
  SteadyTime batch_time() const { return batch_time_; }

  void After(std::chrono::nanoseconds delay, std::function<void()> work) {
    timers_.push({Now() + delay, ++last_timer_, std::move(work)});
  }

  // Both return early, with false, when the user wants the program to end.
  bool RunFor(std::chrono::nanoseconds time);
  // False as well if `done` is not true within `patience`.
  bool RunUntil(const std::function<bool()>& done, std::chrono::nanoseconds patience);

  // From then on Run...() goes on in spite of the user's signal: to leave in order.
  void BeginLeaving() { leaving_ = true; }
  static bool interrupted() { return interrupted_ != 0; }
  // The first SIGINT, SIGTERM or SIGHUP is remembered, the second one ends the program.
  static void CatchSignals();

 private:
  friend class Alarm;
  friend class Deferred;
  // With more the first answers of a batch would wait for long until they are sent.
  static constexpr std::size_t kBatch = 64;

  struct Timer {
    SteadyTime due;
    std::uint64_t number = 0;
    std::function<void()> work;
    bool operator<(const Timer& other) const {  // the queue's top is the largest
      return std::pair(due, number) > std::pair(other.due, other.number);
    }
  };
  bool Step(SteadyTime until);
  int TimeoutMs(SteadyTime until) const;
  void RunEvents(int timeout_ms);
  void RunTimers();
  void RunDeferred();
  static void OnSignal(int);

  static std::atomic<int> interrupted_;
  const int epoll_;
  std::array<epoll_event, kBatch> events_;
  std::size_t event_ = 0, event_count_ = 0;  // of the batch under way
  SteadyTime batch_time_;
  std::priority_queue<Timer> timers_;
  std::uint64_t last_timer_ = 0;
  std::set<std::pair<SteadyTime, Alarm*>> alarms_;
  std::vector<Deferred*> deferred_;  // null: taken back
  bool leaving_ = false;
};

// This is a timer that is set again and again, and gone with its owner. Within `work` it may be
// destroyed.
class Alarm {
 public:
  Alarm(LoadLoop& loop, std::function<void()> work) : loop_(loop), work_(std::move(work)) {}
  ~Alarm() { Clear(); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  void Set(SteadyTime due);
  void Clear();

 private:
  friend class LoadLoop;
  LoadLoop& loop_;
  const std::function<void()> work_;
  SteadyTime due_;
  bool set_ = false;
};

// This is work for the end of the batch, once, however often it is asked for. Asked for while such work
// is done, it comes with the next batch. Within `work` it may be destroyed.
class Deferred {
 public:
  Deferred(LoadLoop& loop, std::function<void()> work) : loop_(loop), work_(std::move(work)) {}
  ~Deferred() { Clear(); }
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  void Post() {
    if (position_ != kNowhere) return;
    position_ = loop_.deferred_.size();
    loop_.deferred_.push_back(this);
  }
  void Clear() {
    if (position_ == kNowhere) return;
    loop_.deferred_[position_] = nullptr;
    position_ = kNowhere;
  }
  bool posted() const { return position_ != kNowhere; }

 private:
  friend class LoadLoop;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
  LoadLoop& loop_;
  const std::function<void()> work_;
  std::size_t position_ = kNowhere;
};

}  // namespace kiln::load
