// A pipeline of two stages with a short queue between them:
//
//   Submit -> waiting_ -> [build threads] -> built_ -> [device threads] -> Completion
//
// Requests are built in the order of their submission. A build thread takes one only while few
// kernels lie in built_, so that compiled kernels do not pile up in memory when devices are the
// slower stage. A device thread holds its lease as long as there is work for it, because getting a
// device costs a round trip and somebody else's turn; a lease without work is given back after
// `idle_release`.
//
// A lease that is wanted back goes between two trials, or at once if no kernel is ready. Each lease
// makes one trial at least, where there is one to make: whoever asks back in haste slows the work
// down and does not stop it. What is built stays and waits for the next turn, as long as that takes:
// a device that was given away must not cost its giver the tuning.

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "measure/measurer.h"

namespace kiln {
namespace {

// An emulated machine is 10 to 50 times slower than the one that emulates it. No device takes a
// longer time-out than ten minutes (proto/device.proto).
constexpr std::int64_t kEmulatedPatience = 20;

// How soon it is noticed that an idle lease is wanted back.
constexpr absl::Duration kLookAgain = absl::Milliseconds(200);

struct Job {
  MeasureRequest request;
  Completion done;
  Artifact artifact;  // once built
  std::int32_t device_losses = 0;
};
using JobPtr = std::unique_ptr<Job>;

bool MeansDeviceLost(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kFailedPrecondition;
}

// What a run says about the device rather than the kernel; ok if nothing.
Status DeviceLoss(const StatusOr<RunResult>& result) {
  if (!result.ok()) return MeansDeviceLost(result.status()) ? result.status() : absl::OkStatus();
  const auto* failure = std::get_if<Failure>(&result->outcome);
  if (failure == nullptr || failure->kind != FailureKind::kDeviceLost) return absl::OkStatus();
  return Error(StatusCode::kUnavailable, failure->message);
}

class PipelineMeasurer final : public Measurer {
 public:
  PipelineMeasurer(Builder& builder, DevicePool& devices, const Clock& clock,
                   const PipelineOptions& options)
      : builder_(builder), devices_(devices), clock_(clock), options_(options) {
    for (std::int32_t i = 0; i < std::max(1, options_.build_threads); ++i) {
      threads_.emplace_back([this] { BuildLoop(); });
    }
    for (std::int32_t i = 0; i < std::max(1, options_.devices); ++i) {
      threads_.emplace_back([this] { DeviceLoop(); });
    }
  }

  ~PipelineMeasurer() override {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      changed_.SignalAll();
    }
    devices_.StopWaiting();
    for (std::thread& thread : threads_) thread.join();
    FailQueued(Error(StatusCode::kCancelled, "the measurer was closed before this trial began"));
  }

  void Submit(MeasureRequest request, Completion done) override {
    auto job = std::make_unique<Job>(Job{std::move(request), std::move(done), {}, 0});
    absl::MutexLock lock(&mutex_);
    waiting_.push_back(std::move(job));
    changed_.SignalAll();
  }

 private:
  // A device thread's hold on a device, counted so that others know whether somebody measures.
  struct Hold {
    bool Serves(const MeasureRequest& request) const {
      return lease != nullptr && target == request.task.target().name &&
             lease->kind() == request.kind;
    }
    std::unique_ptr<Lease> lease;
    std::string target;     // of the lease, or of the former one
    bool has_run = false;   // at least one trial
    bool gave_way = false;  // the lease has gone because it was wanted back
  };

  // The device that the next kernel needs.
  struct Wish {
    Target target;
    TimeKind kind;
  };

  void BuildLoop() {
    while (JobPtr job = TakeWaiting()) Build(std::move(job));
  }

  JobPtr TakeWaiting() {
    absl::MutexLock lock(&mutex_);
    const auto may_build = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !waiting_.empty() &&
             building_ + static_cast<std::int32_t>(built_.size()) < BuiltAhead();
    };
    while (!stopping_ && !may_build()) changed_.Wait(&mutex_);
    if (stopping_) return nullptr;
    JobPtr job = std::move(waiting_.front());
    waiting_.pop_front();
    ++building_;
    return job;
  }

  // Kernels built or being built that no device has taken: each device finds its next one ready.
  std::int32_t BuiltAhead() const {
    return std::max(1, options_.build_threads) + 2 * std::max(1, options_.devices);
  }

  void Build(JobPtr job) {
    auto built = builder_.Build(job->request.task, job->request.config);
    const bool runnable = built.ok() && std::holds_alternative<Artifact>(*built);
    if (runnable) job->artifact = std::get<Artifact>(*std::move(built));
    {
      absl::MutexLock lock(&mutex_);
      --building_;
      if (runnable) built_.push_back(std::move(job));
      changed_.SignalAll();
    }
    if (runnable) return;
    // NOLINTNEXTLINE(bugprone-use-after-move): only moved from if runnable
    if (!built.ok()) return job->done(built.status());
    auto& failure = std::get<BuildFailure>(*built);
    job->done(MakeTrial(*job, failure.code_digest, std::move(failure.failure), ""));
  }

  void DeviceLoop() {
    Hold hold;
    while (JobPtr job = TakeBuilt(hold)) RunOn(hold, std::move(job));
    Release(hold);
  }

  // The next job that `hold` can run; takes and gives back leases as the work demands. Null: this
  // thread has nothing more to do.
  JobPtr TakeBuilt(Hold& hold) {
    while (true) {
      std::optional<Wish> wish;
      {
        absl::MutexLock lock(&mutex_);
        if (!WaitForBuilt(hold.lease.get())) return nullptr;
        const bool is_wanted = hold.lease != nullptr && hold.lease->is_wanted_back();
        if (!built_.empty()) {
          const MeasureRequest& request = built_.front()->request;
          if (hold.Serves(request) && !(is_wanted && hold.has_run)) return PopBuilt();
          wish = Wish{request.task.target(), request.kind};
          ++asking_;  // before the lease goes: there is always somebody who serves or asks
        }
        if (hold.lease != nullptr) hold.gave_way = is_wanted;
      }
      Release(hold);
      if (wish && !Acquire(*wish, hold)) return nullptr;
    }
  }

  // Waits for a built kernel, with a lease in hand no longer than it may lie idle and nobody wants
  // it back. False: closing.
  bool WaitForBuilt(const Lease* lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Duration most = absl::FromChrono(options_.idle_release);
    absl::Duration idle;
    while (!stopping_ && built_.empty()) {
      if (lease == nullptr) {
        changed_.Wait(&mutex_);
        continue;
      }
      if (lease->is_wanted_back()) break;
      const absl::Duration step = std::min(kLookAgain, most - idle);
      const bool something_happened = !changed_.WaitWithTimeout(&mutex_, step);
      idle = something_happened ? absl::ZeroDuration() : idle + step;
      if (idle < most) continue;
      if (waiting_.empty() && building_ == 0) break;
      idle = absl::ZeroDuration();
    }
    return !stopping_;
  }

  JobPtr PopBuilt() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    JobPtr job = std::move(built_.front());
    built_.pop_front();
    changed_.SignalAll();  // there is room for another build
    return job;
  }

  // Of a thread that is counted as asking. False: there will be no lease any more, and other
  // threads, which have one, do what is left.
  bool Acquire(const Wish& wish, Hold& hold) {
    const bool is_next_turn = hold.gave_way && hold.target == wish.target.name;
    auto lease =
        devices_.Acquire(wish.target, wish.kind,
                         is_next_turn ? std::chrono::nanoseconds::max() : options_.acquire_timeout);
    if (lease.ok() && (*lease)->kind() != wish.kind) {
      lease = Error(StatusCode::kInternal, "asked for ", Name(wish.kind), " times, the times of ",
                    (*lease)->device(), " are ", Name((*lease)->kind()));
    }
    {
      absl::MutexLock lock(&mutex_);
      --asking_;
      changed_.SignalAll();
      if (lease.ok()) {
        ++leases_;
      } else if (SomebodyServes()) {
        // This thread asks again, unless that is of no use.
        return lease.status().code() != StatusCode::kCancelled;
      } else {
        ++refusals_;
      }
    }
    if (lease.ok()) {
      hold = Hold{*std::move(lease), wish.target.name};
    } else {
      FailQueued(lease.status());
    }
    return true;
  }

  // After a thread was refused a lease: whether the work is another's, who has one or has told the
  // queue. A thread that still asks may have been given the very device that this one was refused,
  // so the last one to be answered decides.
  bool SomebodyServes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::int64_t refusals = refusals_;
    while (!stopping_ && leases_ == 0 && asking_ > 0 && refusals == refusals_) {
      changed_.Wait(&mutex_);
    }
    return leases_ > 0 || refusals != refusals_;
  }

  void Release(Hold& hold) {
    if (hold.lease == nullptr) return;
    hold.lease.reset();
    absl::MutexLock lock(&mutex_);
    --leases_;
  }

  void RunOn(Hold& hold, JobPtr job) {
    RunRequest run{&job->artifact, job->request.task.workload(), job->request.cases,
                   job->request.plan};
    if (hold.lease->kind() == TimeKind::kEmulated) {
      run.plan.time_out_ns = std::min(kMaxPlanNs, kEmulatedPatience * run.plan.time_out_ns);
    }
    auto result = hold.lease->Run(run);
    hold.has_run = true;
    if (const Status lost = DeviceLoss(result); !lost.ok()) {
      const std::string device(hold.lease->device());
      Release(hold);
      return Retry(std::move(job), device, lost);
    }
    if (!result.ok()) return job->done(result.status());
    Trial trial = MakeTrial(*job, job->artifact.code_digest, std::move(result->outcome),
                            std::string(hold.lease->device()));
    trial.before = result->before;
    trial.after = result->after;
    trial.log = std::move(result->log);
    job->done(std::move(trial));
  }

  // First in the queue again: its batch waits for it.
  void Retry(JobPtr job, const std::string& device, const Status& why) {
    if (job->device_losses++ < options_.device_retries) {
      absl::MutexLock lock(&mutex_);
      built_.push_front(std::move(job));
      changed_.SignalAll();
      return;
    }
    job->done(Error(why.code(), "lost the device ", job->device_losses,
                    " times during one trial of ", job->request.task.Key(), ", last ", device, ": ",
                    Message(why)));
  }

  void FailQueued(const Status& status) {
    std::deque<JobPtr> failed;
    {
      absl::MutexLock lock(&mutex_);
      failed.swap(built_);
      std::move(waiting_.begin(), waiting_.end(), std::back_inserter(failed));
      waiting_.clear();
    }
    for (const JobPtr& job : failed) job->done(status);
  }

  Trial MakeTrial(const Job& job, std::uint64_t code_digest, Outcome outcome,
                  std::string device) const {
    Trial trial;
    trial.uuid = options_.make_uuid();
    trial.config = job.request.config;
    trial.code_digest = code_digest;
    trial.outcome = std::move(outcome);
    trial.predicted = job.request.predicted;
    trial.device = std::move(device);
    trial.measured_at_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Today().time_since_epoch())
            .count();
    trial.batch = job.request.batch;
    trial.kind = job.request.kind;
    return trial;
  }

  Builder& builder_;
  DevicePool& devices_;
  const Clock& clock_;
  const PipelineOptions options_;

  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::deque<JobPtr> waiting_ ABSL_GUARDED_BY(mutex_);
  std::deque<JobPtr> built_ ABSL_GUARDED_BY(mutex_);
  std::int32_t building_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int32_t leases_ ABSL_GUARDED_BY(mutex_) = 0;    // held by all device threads
  std::int32_t asking_ ABSL_GUARDED_BY(mutex_) = 0;    // device threads that wait for a lease
  std::int64_t refusals_ ABSL_GUARDED_BY(mutex_) = 0;  // how often what was queued has failed
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;  // last: they use everything above
};

}  // namespace

std::unique_ptr<Measurer> NewPipelineMeasurer(Builder& builder, DevicePool& devices,
                                              const Clock& clock, const PipelineOptions& options) {
  return std::make_unique<PipelineMeasurer>(builder, devices, clock, options);
}

}  // namespace kiln
