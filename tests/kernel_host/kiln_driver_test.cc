#include "kernel_host/kiln_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "base/rng.h"

namespace kiln {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr std::uint64_t kPitch = 128;
constexpr std::uint32_t kSeeds = 300;

// One call of the kernel's run function.
struct Piece {
  std::uint32_t phase = 0, begin = 0, end = 0;
  const void* thread_ws = nullptr;
};

// Where a kernel's calls are written down: the kernel finds it by its `packed`.
struct Recording {
  std::vector<Piece> pieces;
};

void Record(const void* packed, const void* x, void* y, void* shared_ws, void* thread_ws,
            std::uint32_t phase, std::uint32_t begin, std::uint32_t end) {
  auto* recording = static_cast<Recording*>(const_cast<void*>(packed));
  EXPECT_EQ(x, reinterpret_cast<const void*>(1));
  EXPECT_EQ(y, reinterpret_cast<void*>(2));
  EXPECT_EQ(shared_ws, reinterpret_cast<void*>(3));
  recording->pieces.push_back({phase, begin, end, thread_ws});
}

kiln_info InfoOf(const std::vector<std::uint32_t>& chunks) {
  kiln_info info{};
  info.abi = KILN_ABI;
  info.n_phases = static_cast<std::uint32_t>(chunks.size());
  std::copy(chunks.begin(), chunks.end(), info.chunks);
  return info;
}

// A call of a recorded kernel with these chunks, and workspaces for all threads.
struct Call {
  explicit Call(const std::vector<std::uint32_t>& chunks, std::uint32_t threads = 1)
      : info(InfoOf(chunks)), workspaces(threads * kPitch) {
    call.info = &info;
    call.run = Record;
    call.packed = &recording;
    call.x = reinterpret_cast<const void*>(1);
    call.y = reinterpret_cast<void*>(2);
    call.shared_ws = reinterpret_cast<void*>(3);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void Run(const kiln_pool* pool) { kiln_run_call(&call, workspaces.data(), kPitch, pool); }

  // Of a workspace, which must be one of them.
  std::uint32_t ThreadOf(const void* thread_ws) const {
    const auto offset =
        static_cast<std::uint64_t>(static_cast<const unsigned char*>(thread_ws) - &workspaces[0]);
    EXPECT_EQ(offset % kPitch, 0u);
    EXPECT_LT(offset, workspaces.size());
    return static_cast<std::uint32_t>(offset / kPitch);
  }

  kiln_info info;
  std::vector<unsigned char> workspaces;
  Recording recording;
  kiln_call call{};
};

// A pool that runs bodies one after the other, in an order that a seed gives. With barriers, a body
// would have to wait for one that has not begun; so it only counts them.
struct SerialPool {
  explicit SerialPool(std::uint32_t threads, bool has_barrier, std::uint64_t seed = 0) : rng(seed) {
    pool.self = this;
    pool.threads = threads;
    pool.parallel = [](void* self, kiln_body_fn* body, void* context) {
      auto& me = *static_cast<SerialPool*>(self);
      ++me.parallels;
      std::vector<std::uint32_t> order(me.pool.threads);
      std::iota(order.begin(), order.end(), 0u);
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[me.rng.Below(i)]);
      for (const std::uint32_t thread : order) body(context, thread);
    };
    if (has_barrier) pool.barrier = [](void* self) { ++static_cast<SerialPool*>(self)->barriers; };
  }
  SerialPool(const SerialPool&) = delete;
  SerialPool& operator=(const SerialPool&) = delete;

  kiln_pool pool{};
  Rng rng;
  int parallels = 0, barriers = 0;
};

std::vector<std::uint32_t> DrawChunks(Rng& rng) {
  std::vector<std::uint32_t> chunks(static_cast<std::size_t>(rng.Between(1, KILN_MAX_PHASES)));
  for (std::uint32_t& count : chunks) {
    count = static_cast<std::uint32_t>(rng.Below(4) == 0 ? rng.Between(1, 3) : rng.Between(1, 200));
  }
  return chunks;
}

// Whether the pieces are all chunks of all phases, each once.
void ExpectEachChunkOnce(const std::vector<Piece>& pieces,
                         const std::vector<std::uint32_t>& chunks) {
  std::vector<std::vector<int>> runs;
  for (const std::uint32_t count : chunks) runs.emplace_back(count, 0);
  for (const Piece& piece : pieces) {
    ASSERT_LT(piece.phase, chunks.size());
    ASSERT_LT(piece.begin, piece.end);  // never called for nothing
    ASSERT_LE(piece.end, chunks[piece.phase]);
    for (std::uint32_t chunk = piece.begin; chunk < piece.end; ++chunk) ++runs[piece.phase][chunk];
  }
  for (const std::vector<int>& phase : runs) EXPECT_THAT(phase, Each(1));
}

TEST(KilnDriverTest, EveryChunkRunsOnceInTheOrderOfPhases) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const std::vector<std::uint32_t> chunks = DrawChunks(rng);
    const auto threads = static_cast<std::uint32_t>(rng.Between(1, 40));
    Call call(chunks, threads);
    SerialPool pool(threads, false, seed);
    call.Run(&pool.pool);
    ExpectEachChunkOnce(call.recording.pieces, chunks);
    std::uint32_t phase = 0;
    for (const Piece& piece : call.recording.pieces) {
      EXPECT_GE(piece.phase, phase) << "a phase began before the one before it had ended";
      phase = piece.phase;
    }
  }
}

TEST(KilnDriverTest, ChunksAreSharedOutEvenly) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const std::vector<std::uint32_t> chunks = DrawChunks(rng);
    const auto threads = static_cast<std::uint32_t>(rng.Between(1, 40));
    Call call(chunks, threads);
    SerialPool pool(threads, false, seed);
    call.Run(&pool.pool);
    for (const Piece& piece : call.recording.pieces) {
      const std::uint32_t count = chunks[piece.phase], size = piece.end - piece.begin;
      EXPECT_GE(size, count / threads);
      EXPECT_LE(size, (count + threads - 1) / threads);
    }
  }
}

// 32 bits do not hold the product of the most chunks and the threads.
TEST(KilnDriverTest, ManyChunksAreSharedOutWithoutOverflow) {
  constexpr std::uint32_t kThreads = 7;
  Call call({UINT32_MAX}, kThreads);
  SerialPool pool(kThreads, true);
  call.Run(&pool.pool);
  std::set<std::pair<std::uint32_t, std::uint32_t>> ranges;
  for (const Piece& piece : call.recording.pieces) ranges.insert({piece.begin, piece.end});
  ASSERT_EQ(ranges.size(), kThreads);
  std::uint32_t at = 0;
  for (const auto& [begin, end] : ranges) {
    EXPECT_EQ(begin, at);
    at = end;
  }
  EXPECT_EQ(at, UINT32_MAX);
}

TEST(KilnDriverTest, WithoutABarrierEachPhaseIsOneParallel) {
  for (const std::size_t phases : {1u, 2u, 3u, 4u}) {
    Call call(std::vector<std::uint32_t>(phases, 9), 3);
    SerialPool pool(3, false);
    call.Run(&pool.pool);
    EXPECT_EQ(pool.parallels, static_cast<int>(phases));
  }
}

TEST(KilnDriverTest, WithABarrierTheWholeCallIsOneParallel) {
  for (const std::size_t phases : {1u, 2u, 3u, 4u}) {
    const std::vector<std::uint32_t> chunks(phases, 9);
    Call call(chunks, 3);
    SerialPool pool(3, true);
    call.Run(&pool.pool);
    EXPECT_EQ(pool.parallels, 1);
    EXPECT_EQ(pool.barriers, 3 * (static_cast<int>(phases) - 1));  // between phases, not behind
    ExpectEachChunkOnce(call.recording.pieces, chunks);
  }
}

TEST(KilnDriverTest, WithoutAPoolTheCallerRunsEachPhaseInOnePiece) {
  Call call({5, 1, 3});
  call.Run(nullptr);
  std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> pieces;
  for (const Piece& piece : call.recording.pieces) {
    pieces.emplace_back(piece.phase, piece.begin, piece.end);
    EXPECT_EQ(piece.thread_ws, call.workspaces.data());
  }
  EXPECT_THAT(pieces, ElementsAre(std::tuple(0, 0, 5), std::tuple(1, 0, 1), std::tuple(2, 0, 3)));
}

TEST(KilnDriverTest, APoolOfOneThreadIsNotCalled) {
  Call call({5, 3});
  SerialPool pool(1, true);
  call.Run(&pool.pool);
  EXPECT_EQ(pool.parallels, 0);
  EXPECT_EQ(pool.barriers, 0);
  ExpectEachChunkOnce(call.recording.pieces, {5, 3});
}

TEST(KilnDriverTest, MoreThreadsThanChunksLeaveSomeIdle) {
  for (const bool has_barrier : {false, true}) {
    Call call({3, 1}, 16);
    SerialPool pool(16, has_barrier);
    call.Run(&pool.pool);
    ExpectEachChunkOnce(call.recording.pieces, {3, 1});
    EXPECT_EQ(call.recording.pieces.size(), 4u);
  }
}

TEST(KilnDriverTest, EachThreadHasAWorkspaceOfItsOwn) {
  for (const bool has_barrier : {false, true}) {
    constexpr std::uint32_t kThreads = 5;
    Call call({50, 50}, kThreads);
    SerialPool pool(kThreads, has_barrier, 3);
    call.Run(&pool.pool);
    std::set<std::pair<std::uint32_t, std::uint32_t>> users;  // phase and thread
    for (const Piece& piece : call.recording.pieces) {
      const std::uint32_t thread = call.ThreadOf(piece.thread_ws);
      EXPECT_EQ(piece.begin, 50 * thread / kThreads) << "another thread's workspace";
      EXPECT_TRUE(users.insert({piece.phase, thread}).second) << "a workspace of two threads";
    }
    EXPECT_EQ(users.size(), 2 * kThreads);
  }
}

// What a kernel that runs on real threads checks and counts: each chunk of a phase adds to a sum of
// its own, and reads all sums of the phase before, as real kernels read what was packed there.
struct Stage {
  explicit Stage(const std::vector<std::uint32_t>& chunks) {
    for (const std::uint32_t count : chunks) sums.emplace_back(count, 0);
  }
  std::vector<std::vector<std::uint32_t>> sums;  // not atomic: only the driver keeps them apart
  std::uint32_t round = 0;
  std::atomic<int> early = 0, shared = 0;
};

void Add(const void* packed, const void*, void*, void*, void* thread_ws, std::uint32_t phase,
         std::uint32_t begin, std::uint32_t end) {
  auto& stage = *static_cast<Stage*>(const_cast<void*>(packed));
  auto* const user = static_cast<std::atomic<int>*>(thread_ws);
  if (user->fetch_add(1) != 0) ++stage.shared;
  if (phase > 0) {
    for (const std::uint32_t sum : stage.sums[phase - 1]) stage.early += sum != stage.round;
  }
  for (std::uint32_t chunk = begin; chunk < end; ++chunk) ++stage.sums[phase][chunk];
  user->fetch_sub(1);
}

// A pool of threads that begin for each `parallel`.
struct RealPool {
  RealPool(std::uint32_t threads, bool has_barrier) : barrier(threads) {
    pool.self = this;
    pool.threads = threads;
    pool.parallel = [](void* self, kiln_body_fn* body, void* context) {
      auto& me = *static_cast<RealPool*>(self);
      std::vector<std::thread> others;
      for (std::uint32_t t = 1; t < me.pool.threads; ++t) others.emplace_back(body, context, t);
      body(context, 0);
      for (std::thread& other : others) other.join();
    };
    if (has_barrier) {
      pool.barrier = [](void* self) { static_cast<RealPool*>(self)->barrier.arrive_and_wait(); };
    }
  }
  RealPool(const RealPool&) = delete;
  RealPool& operator=(const RealPool&) = delete;

  kiln_pool pool{};
  std::barrier<> barrier;
};

TEST(KilnDriverTest, OnRealThreadsEveryPhaseSeesTheOneBeforeItComplete) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const std::vector<std::uint32_t> chunks = DrawChunks(rng);
    const auto threads = static_cast<std::uint32_t>(rng.Between(2, 6));
    RealPool pool(threads, seed % 2 == 0);
    Stage stage(chunks);
    std::vector<std::atomic<int>> workspaces(threads);
    const kiln_info info = InfoOf(chunks);
    kiln_call call{};
    call.info = &info;
    call.run = Add;
    call.packed = &stage;
    for (stage.round = 1; stage.round <= 100; ++stage.round) {
      kiln_run_call(&call, workspaces.data(), sizeof workspaces[0], &pool.pool);
      for (const auto& sums : stage.sums) ASSERT_THAT(sums, Each(stage.round));
    }
    EXPECT_EQ(stage.early, 0);
    EXPECT_EQ(stage.shared, 0);
  }
}

// What a program does that has threads of its own and no pool: each does its share.
TEST(KilnDriverTest, SharesThatRunAtOnceAreAWholeCall) {
  constexpr std::uint32_t kThreads = 4;
  const std::vector<std::uint32_t> chunks = {37, 2, 64, 1};
  Stage stage(chunks);
  std::vector<std::atomic<int>> workspaces(kThreads);
  const kiln_info info = InfoOf(chunks);
  kiln_call call{};
  call.info = &info;
  call.run = Add;
  call.packed = &stage;
  std::barrier<> barrier(kThreads);
  const auto wait = [](void* self) { static_cast<std::barrier<>*>(self)->arrive_and_wait(); };
  stage.round = 1;
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back(
        [&, t] { kiln_run_share(&call, t, kThreads, &workspaces[t], wait, &barrier); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& sums : stage.sums) EXPECT_THAT(sums, Each(1u));
  EXPECT_EQ(stage.early, 0);
}

}  // namespace
}  // namespace kiln
