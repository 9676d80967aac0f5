#include "kernel_host/thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

namespace kiln {
namespace {

constexpr std::size_t kStackBytes = 512 << 10;       // kernels have no frame over 4 KiB
constexpr std::size_t kSignalStackBytes = 64 << 10;  // AVX-512 and AMX state is some 11 KiB
// How to wait: look kLooks times with a pause in between (40 to 140 cycles each), give the core
// away once, and after kRounds of that, sleep. Giving way matters as soon as another thread of the
// crew needs this core: without it, a wait for that thread lasts until it sleeps.
constexpr int kLooks = 128;
constexpr int kRounds = 20;

struct ThreadStart {
  ThreadPool* pool;
  int thread;
};

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  asm volatile("yield");
#endif
}

long Futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

// Without one, a stack overflow could not be reported.
bool UseSignalStack() {
  void* memory =
      mmap(nullptr, kSignalStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  stack_t stack{};
  stack.ss_sp = memory;
  stack.ss_size = kSignalStackBytes;
  return sigaltstack(&stack, nullptr) == 0;
}

// 0 or an errno value.
int Pin(pthread_t thread, std::int32_t core) {
  if (core < 0 || core >= CPU_SETSIZE) return EINVAL;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return pthread_setaffinity_np(thread, sizeof set, &set);
}

int UsableCores(const std::vector<std::int32_t>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  if (cores.empty()) return CPU_COUNT(&set);
  const std::set<std::int32_t> distinct(cores.begin(), cores.end());
  return static_cast<int>(distinct.size());
}

void PinAndLog(pthread_t thread, int number, const std::vector<std::int32_t>& cores,
               std::string& log) {
  if (cores.empty()) return;
  const std::int32_t core = cores[static_cast<std::size_t>(number) % cores.size()];
  if (const int refused = Pin(thread, core); refused != 0) {
    log += "cannot run thread " + std::to_string(number) + " on core " + std::to_string(core) +
           ": " + std::strerror(refused) + "\n";
  }
}

}  // namespace

std::unique_ptr<ThreadPool> ThreadPool::Start(int threads, const std::vector<std::int32_t>& cores,
                                              std::string& log, std::string& error) {
  std::unique_ptr<ThreadPool> pool(new ThreadPool(threads, threads > UsableCores(cores)));
  if (!UseSignalStack()) log += "no alternate signal stack: a stack overflow stays unexplained\n";
  PinAndLog(pthread_self(), 0, cores, log);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  for (int t = 1; t < threads; ++t) {
    pthread_t thread;
    const int refused =
        pthread_create(&thread, &attributes, ThreadMain, new ThreadStart{pool.get(), t});
    if (refused != 0) {
      error = "cannot start thread " + std::to_string(t) + ": " + std::strerror(refused);
      return nullptr;
    }
    PinAndLog(thread, t, cores, log);
  }
  pthread_attr_destroy(&attributes);
  pool->Barrier();
  return pool;
}

void* ThreadPool::ThreadMain(void* start) {
  const std::unique_ptr<ThreadStart> self(static_cast<ThreadStart*>(start));
  ThreadPool& pool = *self->pool;
  UseSignalStack();
  pool.Barrier();
  for (std::uint32_t job = 0;; ++job) {
    pool.WaitWhile(pool.job_, job);
    pool.body_(pool.context_, self->thread);
    pool.Barrier();
  }
}

void ThreadPool::Run(Body body, void* context) {
  body_ = body;
  context_ = context;
  if (threads_ > 1) Advance(job_);
  body(context, 0);
  Barrier();
}

void ThreadPool::Barrier() {
  if (threads_ == 1) return;
  const std::uint32_t generation = generation_.value.load(std::memory_order_acquire);
  const auto last = static_cast<std::uint32_t>(threads_) - 1;
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == last) {
    arrived_.store(0, std::memory_order_relaxed);
    Advance(generation_);
  } else {
    WaitWhile(generation_, generation);
  }
}

void ThreadPool::WaitWhile(WaitWord& word, std::uint32_t value) const {
  for (int round = 0; round < kRounds; ++round) {
    for (int look = 0; look < (yields_ ? 1 : kLooks); ++look) {
      if (word.value.load(std::memory_order_acquire) != value) return;
      Pause();
    }
    sched_yield();
  }
  // Sequentially consistent, as in Advance(): either this thread sees the new value or Advance()
  // sees the sleeper.
  word.sleepers.fetch_add(1);
  while (word.value.load() == value) Futex(word.value, FUTEX_WAIT, value);
  word.sleepers.fetch_sub(1);
}

void ThreadPool::Advance(WaitWord& word) {
  word.value.fetch_add(1);
  if (word.sleepers.load() > 0) Futex(word.value, FUTEX_WAKE, INT32_MAX);
}

}  // namespace kiln
