#include "kernel_host/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kiln {
namespace {

// The threads live as long as the process: so does the pool.
ThreadPool& StartPool(int threads, const std::vector<std::int32_t>& cores = {}) {
  std::string log, error;
  auto pool = ThreadPool::Start(threads, cores, log, error);
  EXPECT_NE(pool, nullptr) << error;
  EXPECT_EQ(log, "");
  static auto& pools = *new std::vector<std::unique_ptr<ThreadPool>>;
  pools.push_back(std::move(pool));
  return *pools.back();
}

struct Counts {
  ThreadPool& pool;
  int phases;
  std::vector<std::atomic<int>> arrivals;  // per phase
  std::atomic<int> early{0};
};

// Every thread must see all arrivals of a phase once it has passed its barrier.
void CountPhases(void* context, int) {
  auto& counts = *static_cast<Counts*>(context);
  for (int phase = 0; phase < counts.phases; ++phase) {
    auto& arrivals = counts.arrivals[static_cast<std::size_t>(phase)];
    ++arrivals;
    counts.pool.Barrier();
    if (arrivals != counts.pool.threads()) ++counts.early;
  }
}

TEST(ThreadPoolTest, BarrierLetsNobodyThroughEarly) {
  for (const int threads : {1, 2, 4, 7}) {
    ThreadPool& pool = StartPool(threads);
    Counts counts{pool, 500, std::vector<std::atomic<int>>(500), {}};
    pool.Run(CountPhases, &counts);
    EXPECT_EQ(counts.early, 0) << threads;
  }
}

TEST(ThreadPoolTest, EveryThreadRunsEveryJobOnce) {
  ThreadPool& pool = StartPool(3);
  std::vector<std::atomic<int>> runs(3);
  for (int job = 0; job < 2000; ++job) {
    pool.Run(
        [](void* context, int thread) {
          ++(*static_cast<std::vector<std::atomic<int>>*>(
              context))[static_cast<std::size_t>(thread)];
        },
        &runs);
    for (const auto& count : runs) ASSERT_EQ(count, job + 1);
  }
}

TEST(ThreadPoolTest, AllThreadsOnOneCoreMakeProgress) {
  ThreadPool& pool = StartPool(4, {0});
  Counts counts{pool, 200, std::vector<std::atomic<int>>(200), {}};
  pool.Run(CountPhases, &counts);
  EXPECT_EQ(counts.early, 0);
}

TEST(ThreadPoolTest, CoreThatIsNotThereIsLogged) {
  std::string log, error;
  auto pool = ThreadPool::Start(1, {1000}, log, error);
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(log.substr(0, 37), "cannot run thread 0 on core 1000: Inv") << log;
}

}  // namespace
}  // namespace kiln
