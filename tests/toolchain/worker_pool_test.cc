#include "toolchain/worker_pool.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/paths.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class WorkerPoolTest : public testing::Test {
 protected:
  std::unique_ptr<Compiler> Open(WorkerPoolOptions options = {}) {
    if (options.program.empty()) options.program = *FindHelper("kiln_test_worker");
    return NewWorkerPool(*reactor_, options);
  }

  static std::string OutputOf(Compiler& pool, const std::string& command,
                              const std::string& symbol = "") {
    auto result = pool.Compile({.c = command, .symbol = symbol});
    if (!result.ok()) return "error: " + Message(result.status());
    if (auto* failure = std::get_if<CompileFailure>(&*result)) {
      return "failure: " + failure->message;
    }
    return std::get<CompiledCode>(*result).output;
  }

  const std::unique_ptr<Reactor> reactor_ = NewReactor();
};

TEST_F(WorkerPoolTest, OneWorkerServesManyJobs) {
  auto pool = Open();
  const std::string pid = OutputOf(*pool, "pid");
  EXPECT_EQ(OutputOf(*pool, "pid"), pid);
  EXPECT_EQ(OutputOf(*pool, "pid"), pid);
}

TEST_F(WorkerPoolTest, WorkersAreReplacedAfterTheirJobs) {
  auto pool = Open({.jobs_per_worker = 2});
  const std::string first = OutputOf(*pool, "pid");
  EXPECT_EQ(OutputOf(*pool, "pid"), first);
  const std::string second = OutputOf(*pool, "pid");
  EXPECT_NE(second, first);
  EXPECT_EQ(kill(std::stoi(first), 0), -1) << "still running";
}

TEST_F(WorkerPoolTest, SaysHowLongEachJobWaitedForAWorker) {
  std::mutex mutex;
  std::vector<std::chrono::nanoseconds> waits;
  auto pool = Open({.workers = 1, .on_queued = [&](std::chrono::nanoseconds time) {
                      const std::lock_guard lock(mutex);
                      waits.push_back(time);
                    }});
  OutputOf(*pool, "pid");
  ASSERT_EQ(waits.size(), 1u) << "also where it waited for nobody";
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) callers.emplace_back([&] { OutputOf(*pool, "pid"); });
  for (std::thread& caller : callers) caller.join();
  ASSERT_EQ(waits.size(), 5u);
  for (const std::chrono::nanoseconds wait : waits) EXPECT_GE(wait.count(), 0);
}

TEST_F(WorkerPoolTest, RejectedSourceIsAFailure) {
  EXPECT_EQ(OutputOf(*Open(), "reject"), "failure: because");
}

TEST_F(WorkerPoolTest, BadJobIsAnError) {
  EXPECT_EQ(OutputOf(*Open(), "bad job"), "error: the compiler refuses the target: because");
}

TEST_F(WorkerPoolTest, CrashIsAFailureThatNamesTheSignal) {
  auto pool = Open();
  EXPECT_EQ(OutputOf(*pool, "crash"),
            "failure: compiler crashed: kiln-compile-worker: killed by SIGSEGV");
  EXPECT_EQ(OutputOf(*pool, "ok"), "") << "the pool goes on";
}

TEST_F(WorkerPoolTest, WorkerThatWasKilledIsReplacedAndTheJobTriedAgain) {
  auto pool = Open();
  const fs::path flag = fs::temp_directory_path() / ("worker_pool." + std::to_string(getpid()));
  fs::remove(flag);
  EXPECT_EQ(OutputOf(*pool, "crash once", flag), "");
  EXPECT_TRUE(fs::exists(flag)) << "nothing was killed";
  fs::remove(flag);
}

TEST_F(WorkerPoolTest, IdleWorkerThatWasKilledIsReplaced) {
  auto pool = Open();
  const std::string first = OutputOf(*pool, "pid");
  kill(std::stoi(first), SIGKILL);
  const std::string second = OutputOf(*pool, "pid");
  EXPECT_NE(second, first);
  EXPECT_GT(std::stoi(second), 0);
}

TEST_F(WorkerPoolTest, HangEndsAtTheTimeOut) {
  auto pool = Open({.workers = 1, .time_out = std::chrono::milliseconds(100)});
  EXPECT_EQ(OutputOf(*pool, "hang"), "failure: not compiled within 100 ms of processor time");
  EXPECT_EQ(OutputOf(*pool, "ok"), "") << "the pool goes on";
}

TEST_F(WorkerPoolTest, StoppedWorkerEndsAtTheTimeOut) {
  auto pool = Open({.workers = 1, .time_out = std::chrono::milliseconds(100)});
  kill(std::stoi(OutputOf(*pool, "pid")), SIGSTOP);
  EXPECT_EQ(OutputOf(*pool, "ok"), "failure: not compiled within 100 ms of processor time");
  EXPECT_EQ(OutputOf(*pool, "ok"), "") << "the pool goes on";
}

TEST_F(WorkerPoolTest, NoMoreWorkersThanAskedFor) {
  auto pool = Open({.workers = 2});
  std::mutex mutex;
  std::set<std::string> pids;
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const std::string pid = OutputOf(*pool, "pid");
        const std::lock_guard lock(mutex);
        pids.insert(pid);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(pids.size(), 2u);
}

TEST_F(WorkerPoolTest, WorkerThatCannotStartIsAnErrorNotAFailure) {
  EXPECT_THAT(OutputOf(*Open({.program = "/nowhere/worker"}), "ok"),
              HasSubstr("error: no compile worker: cannot start /nowhere/worker"));
  EXPECT_THAT(OutputOf(*Open({.program = "/bin/false"}), "ok"),
              HasSubstr("error: no compile worker: kiln-compile-worker: exited with status 1"));
}

}  // namespace
}  // namespace kiln
