#include "benchmarks/farm_load/load_loop.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace kiln::load {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kNotice{100};  // how long a signal may go unseen

}  // namespace

std::atomic<int> LoadLoop::interrupted_{0};

void LoadLoop::OnSignal(int) {
  if (interrupted_.exchange(1) != 0) std::_Exit(130);
}

void LoadLoop::CatchSignals() {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

LoadLoop::LoadLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), batch_time_(Now()) {}

LoadLoop::~LoadLoop() {
  if (epoll_ >= 0) close(epoll_);
}

int LoadLoop::Watch(int fd, Watcher& watcher) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &watcher;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void LoadLoop::Forget(int fd, Watcher& watcher) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  for (std::size_t i = event_; i < event_count_; ++i) {
    if (events_[i].data.ptr == &watcher) events_[i].data.ptr = nullptr;
  }
}

int LoadLoop::TimeoutMs(SteadyTime until) const {
  if (!deferred_.empty()) return 0;
  const SteadyTime now = Now();
  SteadyTime wake = std::min(until, now + kNotice);
  if (!timers_.empty()) wake = std::min(wake, timers_.top().due);
  if (!alarms_.empty()) wake = std::min(wake, alarms_.begin()->first);
  return static_cast<int>(
      std::max(milliseconds(0), std::chrono::ceil<milliseconds>(wake - now)).count());
}

void LoadLoop::RunEvents(int timeout_ms) {
  const int count = epoll_wait(epoll_, events_.data(), static_cast<int>(kBatch), timeout_ms);
  batch_time_ = Now();
  event_count_ = static_cast<std::size_t>(std::max(count, 0));
  for (event_ = 0; event_ < event_count_;) {
    const epoll_event event = events_[event_++];
    if (event.data.ptr) static_cast<Watcher*>(event.data.ptr)->OnEvents(event.events);
  }
  event_ = event_count_ = 0;
}

void LoadLoop::RunTimers() {
  while (!timers_.empty() && timers_.top().due <= batch_time_) {
    const std::function<void()> work = timers_.top().work;
    timers_.pop();
    work();
  }
  while (!alarms_.empty() && alarms_.begin()->first <= batch_time_) {
    Alarm& alarm = *alarms_.begin()->second;
    alarm.Clear();
    alarm.work_();
  }
}

void LoadLoop::RunDeferred() {
  const std::size_t count = deferred_.size();
  for (std::size_t i = 0; i < count; ++i) {
    Deferred* const one = deferred_[i];
    if (!one) continue;
    one->Clear();
    one->work_();
  }
  deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<std::ptrdiff_t>(count));
  for (Deferred* one : deferred_) {
    if (one) one->position_ -= count;
  }
}

// One batch. False: it is time to return.
bool LoadLoop::Step(SteadyTime until) {
  RunEvents(TimeoutMs(until));
  RunTimers();
  RunDeferred();
  return batch_time_ < until && (leaving_ || !interrupted());
}

bool LoadLoop::RunFor(std::chrono::nanoseconds time) {
  const SteadyTime until = Now() + time;
  while (Step(until)) {
  }
  return leaving_ || !interrupted();
}

bool LoadLoop::RunUntil(const std::function<bool()>& done, std::chrono::nanoseconds patience) {
  const SteadyTime until = Now() + patience;
  while (!done()) {
    if (!Step(until)) return done();
  }
  return true;
}

void Alarm::Set(SteadyTime due) {
  Clear();
  due_ = due;
  set_ = true;
  loop_.alarms_.emplace(due_, this);
}

void Alarm::Clear() {
  if (set_) loop_.alarms_.erase({due_, this});
  set_ = false;
}

}  // namespace kiln::load
