#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kiln {

// This is a fixed crew of threads that runs one job at a time on all of them, the calling thread as
// thread 0. Waiting is spinning for some tens of microseconds, then sleeping on a futex; a spinning
// thread gives its core away now and then, or all the time where there are more threads than cores.
// After construction it allocates nothing and makes no system call but futex and sched_yield. Its
// threads end with the process: it must live as long.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): what threads wait on has its own line
class ThreadPool {
 public:
  // Starts `threads` - 1 threads; thread t runs on cores[t % size], anywhere if `cores` is empty.
  // Each thread, the calling one included, gets an alternate stack for signal handlers. Returns
  // once all are running; nullptr with `error` if the system refuses a thread. What it refuses else
  // (a core that is not there) is added to `log`.
  static std::unique_ptr<ThreadPool> Start(int threads, const std::vector<std::int32_t>& cores,
                                           std::string& log, std::string& error);

  int threads() const { return threads_; }

  // Runs body(context, t) on every thread t and returns when all have returned.
  using Body = void (*)(void* context, int thread);
  void Run(Body body, void* context);

  // Inside of a body: waits until all threads are here.
  void Barrier();

 private:
  // A word that threads wait on, and how many of them sleep.
  struct alignas(64) WaitWord {
    std::atomic<std::uint32_t> value{0};
    std::atomic<std::uint32_t> sleepers{0};
  };

  ThreadPool(int threads, bool oversubscribed) : threads_(threads), yields_(oversubscribed) {}
  static void* ThreadMain(void* start);
  void WaitWhile(WaitWord& word, std::uint32_t value) const;
  static void Advance(WaitWord& word);

  const int threads_;
  const bool yields_;
  WaitWord job_;         // counts jobs
  WaitWord generation_;  // counts barriers
  alignas(64) std::atomic<std::uint32_t> arrived_{0};
  Body body_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace kiln
