#include "toolchain/worker_calls.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/helper_process.h"

namespace kiln {
namespace {

constexpr std::chrono::seconds kStartTimeOut{30};

struct Worker {
  std::unique_ptr<HelperProcess> process;
  std::int32_t jobs = 0;
};

}  // namespace

class WorkerCalls::Pool {
 public:
  Pool(Reactor& reactor, const WorkerPoolOptions& options)
      : reactor_(reactor), options_(options), free_slots_(std::max(options.workers, 1)) {}

  const WorkerPoolOptions& options() const { return options_; }

  // kUnavailable: the worker died of this request. kInternal: there is no worker to be had.
  StatusOr<std::string> CallOnce(const std::string& request) {
    const auto asked = std::chrono::steady_clock::now();
    Slot slot(*this);
    if (options_.on_queued) options_.on_queued(std::chrono::steady_clock::now() - asked);
    if (!slot.worker.process || !slot.worker.process->alive()) {
      ASSIGN_OR_RETURN(slot.worker, StartWorker());
    }
    ++slot.worker.jobs;
    return slot.worker.process->Call(request, options_.time_out, HelperProcess::Clock::kProcessor);
  }

 private:
  // A slot is the right to have a worker busy; idle workers wait for whoever gets one.
  class Slot {
   public:
    explicit Slot(Pool& pool) : pool_(pool) {
      absl::MutexLock lock(&pool_.mutex_);
      pool_.mutex_.Await(absl::Condition(
          +[](std::int32_t* free) { return *free > 0; }, &pool_.free_slots_));
      --pool_.free_slots_;
      if (pool_.idle_.empty()) return;
      worker = std::move(pool_.idle_.back());
      pool_.idle_.pop_back();
    }
    ~Slot() {
      const bool reusable =
          worker.process && worker.process->alive() && worker.jobs < pool_.options_.jobs_per_worker;
      if (!reusable) worker.process.reset();
      absl::MutexLock lock(&pool_.mutex_);
      if (reusable) pool_.idle_.push_back(std::move(worker));
      ++pool_.free_slots_;
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    Worker worker;

   private:
    Pool& pool_;
  };

  // The empty frame that a new worker must answer tells one that cannot start (a library is
  // missing) from one that dies of a kernel.
  StatusOr<Worker> StartWorker() {
    HelperOptions helper{options_.program, {}, "kiln-compile-worker"};
    for (const std::int32_t core : options_.cores) {
      helper.arguments.push_back(std::to_string(core));
    }
    auto process = StartHelper(reactor_, helper);
    if (!process.ok()) return NotStarted(process.status());
    const auto greeting = (*process)->Call({}, kStartTimeOut, HelperProcess::Clock::kProcessor);
    if (!greeting.ok()) return NotStarted(greeting.status());
    return Worker{*std::move(process), 0};
  }

  static Status NotStarted(const Status& why) {
    return Error(StatusCode::kInternal, "no compile worker: ", Message(why));
  }

  Reactor& reactor_;
  const WorkerPoolOptions options_;
  absl::Mutex mutex_;
  std::int32_t free_slots_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker> idle_ ABSL_GUARDED_BY(mutex_);  // the last one used is the first taken
};

WorkerCalls::WorkerCalls(Reactor& reactor, const WorkerPoolOptions& options)
    : pool_(std::make_unique<Pool>(reactor, options)) {}
WorkerCalls::~WorkerCalls() = default;

StatusOr<std::string> WorkerCalls::Call(const std::string& request) {
  StatusOr<std::string> answer = pool_->CallOnce(request);
  if (answer.status().code() == StatusCode::kUnavailable) answer = pool_->CallOnce(request);
  return answer;
}

std::string WorkerCalls::TimeOutText() const {
  const auto time_out = pool_->options().time_out;
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time_out).count()) +
         " ms of processor time";
}

Status WorkerCalls::OtherVersion() const {
  return Error(StatusCode::kInternal, pool_->options().program, " is not of this version of Kiln");
}

}  // namespace kiln
