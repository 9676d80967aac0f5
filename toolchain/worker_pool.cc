#include "toolchain/worker_pool.h"

#include <algorithm>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/helper_process.h"

namespace kiln {
namespace {

constexpr std::chrono::seconds kStartTimeOut{30};

struct Worker {
  std::unique_ptr<HelperProcess> process;
  std::int32_t jobs = 0;
};

class WorkerPool final : public Compiler {
 public:
  WorkerPool(Reactor& reactor, const WorkerPoolOptions& options)
      : reactor_(reactor), options_(options), free_slots_(std::max(options.workers, 1)) {}

  StatusOr<std::variant<CompiledCode, CompileFailure>> Compile(const CompileJob& job) override {
    const std::string request = Serialize(job);
    StatusOr<std::string> answer = CallOnce(request);
    if (DiedOf(answer)) answer = CallOnce(request);
    if (answer.ok()) return Interpret(*answer);
    if (DiedOf(answer)) return CompileFailure{"compiler crashed: " + Message(answer.status())};
    if (answer.status().code() == StatusCode::kDeadlineExceeded) {
      return CompileFailure{"not compiled within " + TimeOutText()};
    }
    return answer.status();
  }

 private:
  // A slot is the right to have a worker busy; idle workers wait for whoever gets one.
  class Slot {
   public:
    explicit Slot(WorkerPool& pool) : pool_(pool) {
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
    WorkerPool& pool_;
  };

  // kUnavailable: the worker died of this request. kInternal: there is no worker to be had.
  StatusOr<std::string> CallOnce(const std::string& request) {
    Slot slot(*this);
    if (!slot.worker.process || !slot.worker.process->alive()) {
      ASSIGN_OR_RETURN(slot.worker, StartWorker());
    }
    ++slot.worker.jobs;
    return slot.worker.process->Call(request, options_.time_out);
  }

  static bool DiedOf(const StatusOr<std::string>& answer) {
    return answer.status().code() == StatusCode::kUnavailable;
  }

  // The empty frame that a new worker must answer tells one that cannot start (a library is
  // missing) from one that dies of a kernel.
  StatusOr<Worker> StartWorker() {
    HelperOptions helper{options_.program, {}, "kiln-compile-worker"};
    for (const std::int32_t core : options_.cores) {
      helper.arguments.push_back(std::to_string(core));
    }
    auto process = StartHelper(reactor_, helper);
    if (!process.ok()) return NotStarted(process.status());
    const auto greeting = (*process)->Call({}, kStartTimeOut);
    if (!greeting.ok()) return NotStarted(greeting.status());
    return Worker{*std::move(process), 0};
  }

  static Status NotStarted(const Status& why) {
    return Error(StatusCode::kInternal, "no compile worker: ", Message(why));
  }

  StatusOr<std::variant<CompiledCode, CompileFailure>> Interpret(const std::string& answer) const {
    CompileReply reply;
    if (!Deserialize(answer, reply)) {
      return Error(StatusCode::kInternal, options_.program, " is not of this version of Kiln");
    }
    switch (reply.outcome) {
      case CompileReply::Outcome::kCompiled:
        return CompiledCode{std::move(reply.output), std::move(reply.compiler)};
      case CompileReply::Outcome::kRejected:
        return CompileFailure{std::move(reply.message)};
      case CompileReply::Outcome::kBadJob:
        break;
    }
    // Its first line says what is wrong; the notes below it list all processors that clang knows.
    return Error(StatusCode::kInvalidArgument, "the compiler refuses the target: ",
                 reply.message.substr(0, reply.message.find('\n')));
  }

  std::string TimeOutText() const {
    return std::to_string(
               std::chrono::duration_cast<std::chrono::milliseconds>(options_.time_out).count()) +
           " ms";
  }

  Reactor& reactor_;
  const WorkerPoolOptions options_;
  absl::Mutex mutex_;
  std::int32_t free_slots_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker> idle_ ABSL_GUARDED_BY(mutex_);  // the last one used is the first taken
};

}  // namespace

std::unique_ptr<Compiler> NewWorkerPool(Reactor& reactor, const WorkerPoolOptions& options) {
  return std::make_unique<WorkerPool>(reactor, options);
}

}  // namespace kiln
