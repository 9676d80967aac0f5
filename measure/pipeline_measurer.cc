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
//
// Withdraw() empties both queues and completes what is being built, though a build thread is busy
// with it a while longer. Who has a request in hand then, a build or device thread, looks before it
// hands it on whether it is one of those: they are told by the number of their submission.
//
// What a run says may be the device's fault. device_judge.h decides whether it counts; here trials
// are led past devices that they shun, devices that are accused are given back with the blame, and
// a suspect trial is preceded by a *witness*, a kernel that was right before, where its device has
// shown nothing yet.

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/rng.h"
#include "measure/device_judge.h"
#include "measure/measurer.h"
#include "measure/next_trial.h"

namespace kiln {
namespace {

// An emulated machine is 10 to 50 times slower than the one that emulates it. No device takes a
// longer time-out than ten minutes (proto/device.proto).
constexpr std::int64_t kEmulatedPatience = 20;

// How soon it is noticed that an idle lease is wanted back.
constexpr absl::Duration kLookAgain = absl::Milliseconds(200);

// A kernel that was right somewhere, to find out whether a device is well. It is not timed.
struct Witness {
  DeviceKind kind;
  std::string device;  // where it was right
  Artifact artifact;
  Workload workload;
  std::vector<RunCase> cases;
  MeasurePlan plan;
};

struct Job {
  TrialCase& trial() { return pending.trial; }

  MeasureRequest request;
  Completion done;
  std::uint64_t number;  // in the order of submission
  PendingTrial pending;
  Artifact artifact = {};                         // once built
  StatusCode trouble = StatusCode::kUnavailable;  // of the last loss
  std::int64_t leases_before_loss = 0;  // how many had been taken before the last that counted
};
using JobPtr = std::unique_ptr<Job>;

DeviceKind NeedsOf(const MeasureRequest& request) {
  return {request.task.target().name, request.kind};
}

// The request itself is refused. Whatever else goes wrong in a run is the device's, or of the way
// to it.
bool IsRequestsFault(const Status& status) { return status.code() == StatusCode::kInvalidArgument; }

const Failure* FailureOf(const StatusOr<RunResult>& result) {
  return result.ok() ? std::get_if<Failure>(&result->outcome) : nullptr;
}

bool FailsWith(FailureKind kind, const StatusOr<RunResult>& result) {
  const Failure* failure = FailureOf(result);
  return failure != nullptr && failure->kind == kind;
}

// What a run says about the device rather than the kernel; ok if nothing.
Status DeviceLoss(const StatusOr<RunResult>& result) {
  if (!result.ok()) return result.status();
  if (!FailsWith(FailureKind::kDeviceLost, result)) return absl::OkStatus();
  return Error(StatusCode::kUnavailable, FailureOf(result)->message);
}

class PipelineMeasurer final : public Measurer {
 public:
  PipelineMeasurer(Builder& builder, DevicePool& devices, const Clock& clock,
                   const PipelineOptions& options)
      : builder_(builder),
        devices_(devices),
        clock_(clock),
        options_(options),
        jitter_(options.jitter_seed) {
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
    absl::MutexLock lock(&mutex_);
    PendingTrial pending{NeedsOf(request), TrialCase(++submitted_, options_.device_retries)};
    waiting_.push_back(std::make_unique<Job>(Job{.request = std::move(request),
                                                 .done = std::move(done),
                                                 .number = submitted_,
                                                 .pending = std::move(pending)}));
    changed_.SignalAll();
  }

  void Withdraw() override {
    std::vector<Completion> withdrawn;
    {
      absl::MutexLock lock(&mutex_);
      withdrawn_ = submitted_;
      for (Job* job : building_) {
        // Empty: withdrawn before.
        if (job->done) withdrawn.push_back(std::exchange(job->done, nullptr));
      }
      for (const JobPtr& job : TakeQueued()) withdrawn.push_back(std::move(job->done));
      changed_.SignalAll();
    }
    for (const Completion& done : withdrawn) done(Withdrawn());
  }

 private:
  // A device thread's hold on a device.
  struct Hold {
    bool Serves(const DeviceKind& needs) const {
      return lease != nullptr && DeviceKind{target, lease->kind()} == needs;
    }
    HeldDevice device() const { return {{target, lease->kind()}, std::string(lease->device())}; }

    std::unique_ptr<Lease> lease;
    std::string target;     // of the lease, or of the former one
    bool has_run = false;   // at least one trial
    bool gave_way = false;  // the lease has gone because it was wanted back
    bool is_lost = false;   // the device; the lease is of no use
    std::shared_ptr<DeviceStanding> standing = nullptr;  // of the lease; what it says: mutex_
    std::int64_t number = 0;  // of the lease, in the order in which they were taken
  };

  // The device that the next kernel needs.
  struct Wish {
    Target target;
    TimeKind kind;
  };

  static Status Withdrawn() {
    return Error(StatusCode::kCancelled, "the trial was withdrawn before it had a result");
  }
  bool IsWithdrawn(const Job& job) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return job.number <= withdrawn_;
  }

  void BuildLoop() {
    while (JobPtr job = TakeWaiting()) Build(std::move(job));
  }

  JobPtr TakeWaiting() {
    absl::MutexLock lock(&mutex_);
    // Suspects do not count: they may have to wait for what is built next.
    const auto may_build = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      const auto ready = std::ranges::count_if(
          built_, [](const JobPtr& job) { return !job->trial().is_suspect(); });
      return !waiting_.empty() && std::ssize(building_) + ready < BuiltAhead();
    };
    while (!stopping_ && !may_build()) changed_.Wait(&mutex_);
    if (stopping_) return nullptr;
    JobPtr job = std::move(waiting_.front());
    waiting_.pop_front();
    building_.insert(job.get());
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
      building_.erase(job.get());
      changed_.SignalAll();
      if (IsWithdrawn(*job)) return;  // and completed
      if (runnable) built_.push_back(std::move(job));
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
        const std::optional<std::size_t> next = AwaitNext(hold);
        if (stopping_) return nullptr;
        const bool is_wanted = hold.lease != nullptr && hold.lease->is_wanted_back();
        if (next) {
          const MeasureRequest& request = built_[*next]->request;
          if (hold.Serves(NeedsOf(request)) && !(is_wanted && hold.has_run)) return PopBuilt(*next);
          wish = Wish{request.task.target(), request.kind};
          ++asking_;  // before the lease goes: there is always somebody who serves or asks
        }
        if (hold.lease != nullptr) hold.gave_way = is_wanted;
      }
      Release(hold);
      if (wish && !Acquire(*wish, hold)) return nullptr;
    }
  }

  // Waits for a built kernel for this thread, with a lease in hand no longer than it may lie idle,
  // nobody wants it back and nothing is held against the device. Returns its place.
  std::optional<std::size_t> AwaitNext(const Hold& hold) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Duration most = absl::FromChrono(options_.idle_release);
    absl::Duration idle;
    while (!stopping_) {
      if (IsAccused(hold)) return std::nullopt;
      const Surroundings around = Around(clock_.Now());
      const std::vector<const PendingTrial*> trials = BuiltTrials();
      if (const auto next = NextTrialFor(SeekerOf(hold), trials, around)) return next;
      const auto change = NextChange(trials, around);
      const absl::Duration due =
          change ? absl::FromChrono(*change - around.now) : absl::InfiniteDuration();
      if (hold.lease == nullptr) {
        changed_.WaitWithTimeout(&mutex_, due);
        continue;
      }
      if (hold.lease->is_wanted_back()) return std::nullopt;
      const absl::Duration step = std::min({kLookAgain, most - idle, due});
      const bool something_happened = !changed_.WaitWithTimeout(&mutex_, step);
      idle = something_happened ? absl::ZeroDuration() : idle + step;
      if (idle < most) continue;
      if (waiting_.empty() && building_.empty()) return std::nullopt;
      idle = absl::ZeroDuration();
    }
    return std::nullopt;
  }

  static bool IsAccused(const Hold& hold) {
    return hold.standing != nullptr && !hold.standing->blame().empty();
  }

  static Seeker SeekerOf(const Hold& hold) {
    if (hold.lease == nullptr) return {};
    return {hold.device(), hold.standing->is_proven()};
  }
  std::vector<const PendingTrial*> BuiltTrials() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<const PendingTrial*> trials;
    for (const JobPtr& job : built_) trials.push_back(&job->pending);
    return trials;
  }
  Surroundings Around(SteadyTime now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Surroundings around{.now = now,
                        .held = held_,
                        .most_devices = static_cast<std::size_t>(std::max(0, options_.devices)),
                        .refused = refused_,
                        .is_last = waiting_.empty() && building_.empty(),
                        .second_opinion_wait = options_.second_opinion_wait};
    if (witness_ != nullptr) around.proof = witness_->kind;
    return around;
  }

  JobPtr PopBuilt(std::size_t place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    JobPtr job = std::move(built_[place]);
    built_.erase(built_.begin() + static_cast<std::ptrdiff_t>(place));
    changed_.SignalAll();  // there is room for another build
    return job;
  }

  // Of a thread that is counted as asking. False: there will be no lease any more, and other
  // threads, which have one, do what is left.
  bool Acquire(const Wish& wish, Hold& hold) {
    const bool is_next_turn = hold.gave_way && hold.target == wish.target.name;
    auto lease =
        Lend(wish, is_next_turn ? std::chrono::nanoseconds::max() : options_.acquire_timeout);
    if (lease.ok() && (*lease)->kind() != wish.kind) {
      lease = Error(StatusCode::kInternal, "asked for ", Name(wish.kind), " times, the times of ",
                    (*lease)->device(), " are ", Name((*lease)->kind()));
    }
    {
      absl::MutexLock lock(&mutex_);
      --asking_;
      changed_.SignalAll();
      if (lease.ok()) {
        hold = Hold{*std::move(lease), wish.target.name};
        hold.number = ++leases_taken_;
        hold.standing = std::make_shared<DeviceStanding>(std::string(hold.lease->device()));
        held_.insert(hold.device());
        return true;
      }
      ++refused_;
      if (SomebodyServes()) {
        // This thread asks again, unless that is of no use.
        return lease.status().code() != StatusCode::kCancelled;
      }
      ++refusals_;
    }
    FailQueued(lease.status());
    return true;
  }

  // A lease from the pool. Where a device turned out to be bad when it had been given back already,
  // it is blamed with its next lease.
  StatusOr<std::unique_ptr<Lease>> Lend(const Wish& wish, std::chrono::nanoseconds timeout) {
    while (true) {
      ASSIGN_OR_RETURN(auto lease, devices_.Acquire(wish.target, wish.kind, timeout));
      absl::MutexLock lock(&mutex_);
      const auto late = late_blames_.find(std::string(lease->device()));
      if (late == late_blames_.end()) return lease;
      lease->Blame(late->second);
      late_blames_.erase(late);
    }
  }

  // After a thread was refused a lease: whether the work is another's, who has one or has told the
  // queue. A thread that still asks may have been given the very device that this one was refused,
  // so the last one to be answered decides.
  bool SomebodyServes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::int64_t refusals = refusals_;
    while (!stopping_ && held_.empty() && asking_ > 0 && refusals == refusals_) {
      changed_.Wait(&mutex_);
    }
    return !held_.empty() || refusals != refusals_;
  }

  void Release(Hold& hold) {
    if (hold.lease == nullptr) return;
    const HeldDevice held = hold.device();
    {
      absl::MutexLock lock(&mutex_);
      if (IsAccused(hold)) {
        hold.lease->Blame(hold.standing->blame());
      } else if (hold.standing.use_count() > 1) {
        former_.push_back(hold.standing);
      }
      hold.standing = nullptr;
    }
    hold.lease.reset();
    absl::MutexLock lock(&mutex_);
    held_.erase(held_.find(held));
    changed_.SignalAll();
  }

  void RunOn(Hold& hold, JobPtr job) {
    if (auto known = KnownKiller(*job)) return Finish(hold, *job, {.outcome = *std::move(known)});
    Verdict verdict = Verdict::kCounts;
    if (const auto witness = WitnessFor(hold, *job)) verdict = Try(hold, *witness, *job);
    StatusOr<RunResult> result = RunResult();
    if (verdict == Verdict::kCounts) {
      if (IsToBeDropped(*job)) return job->done(Withdrawn());
      result = RunWithPatience(*hold.lease, {&job->artifact, job->request.task.workload(),
                                             job->request.cases, job->request.plan});
      hold.has_run = true;
      if (!result.ok() && IsRequestsFault(result.status())) return job->done(result.status());
      verdict = Judge(hold, *job, result);
    }
    switch (verdict) {
      case Verdict::kCounts:
        return Finish(hold, *job, *std::move(result));
      case Verdict::kAgain:
        return Again(hold, std::move(job));
      case Verdict::kKiller: {
        Failure killed{Stage::kRun, FailureKind::kHostKilled, job->trial().took_down()};
        Remember(*job, killed);
        return Finish(hold, *job, {.outcome = std::move(killed)});
      }
      case Verdict::kGivenUp:
        if (hold.is_lost) Release(hold);
        return job->done(
            Error(job->trouble, job->trial().why_given_up(), " (", job->request.task.Key(), ")"));
    }
  }

  bool IsToBeDropped(const Job& job) {
    absl::MutexLock lock(&mutex_);
    return IsWithdrawn(job);
  }

  // A config that was found to take hosts down is not run another time: a final round would.
  std::optional<Failure> KnownKiller(const Job& job) {
    absl::MutexLock lock(&mutex_);
    const auto known = killers_.find({job.request.task.Key(), job.request.config});
    return known == killers_.end() ? std::nullopt : std::optional(known->second);
  }
  void Remember(const Job& job, const Failure& killed) {
    absl::MutexLock lock(&mutex_);
    killers_.emplace(std::pair(job.request.task.Key(), job.request.config), killed);
  }

  static StatusOr<RunResult> RunWithPatience(Lease& lease, RunRequest run) {
    if (lease.kind() == TimeKind::kEmulated) {
      run.plan.time_out_ns = std::min(kMaxPlanNs, kEmulatedPatience * run.plan.time_out_ns);
    }
    return lease.Run(run);
  }

  Verdict Judge(Hold& hold, Job& job, const StatusOr<RunResult>& result) {
    absl::MutexLock lock(&mutex_);
    changed_.SignalAll();  // somebody may be accused
    job.pending.suspect_since = clock_.Now();
    job.pending.refused_before = refused_;
    DeviceStanding& here = *hold.standing;
    if (const Status lost = DeviceLoss(result); !lost.ok()) {
      return Lost(hold, job, lost, IsLostWhileRunning(lost));
    }
    ++answers_;
    const Failure* failure = FailureOf(result);
    if (failure == nullptr) {
      // Nobody has looked at the result of a probe.
      if (!std::ranges::all_of(job.request.cases, &RunCase::check)) return Verdict::kCounts;
      if (FindWitness(job.pending.needs) == nullptr) witness_ = MakeWitness(hold, job);
      const Verdict verdict = job.trial().OnRight(here);
      BlameFormerHolds();
      return verdict;
    }
    // An estimate is of the kernel alone, and who asks whether a kernel is right takes no for an
    // answer.
    if (job.request.kind == TimeKind::kEstimated || job.request.is_verification) {
      return Verdict::kCounts;
    }
    if (failure->kind == FailureKind::kHostKilled) {
      return job.trial().OnHostKilled(here, failure->message);
    }
    if (failure->kind != FailureKind::kWrongResult) return Verdict::kCounts;
    const auto is_other = [&](const std::string& device) { return device != here.device(); };
    const auto is_suspect = [](const JobPtr& other) { return other->trial().is_suspect(); };
    const bool last_resort = waiting_.empty() && building_.empty() &&
                             std::ranges::all_of(built_, is_suspect) &&
                             !HoldsOne(held_, job.pending.needs, is_other);
    return job.trial().OnWrong(hold.standing, failure->message, last_resort);
  }

  // Those of devices that have been given back meanwhile.
  void BlameFormerHolds() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const std::shared_ptr<DeviceStanding>& former : former_) {
      if (!former->blame().empty()) late_blames_[former->device()] = former->blame();
    }
    // Nobody else can accuse them any more, or it is done.
    std::erase_if(former_, [](const std::shared_ptr<DeviceStanding>& former) {
      return former.use_count() == 1 || !former->blame().empty();
    });
  }

  // What is to be run first, since the trial's own answer would prove nothing: nothing was right on
  // the device so far, and the trial is suspect.
  std::shared_ptr<const Witness> WitnessFor(const Hold& hold, const Job& job) {
    absl::MutexLock lock(&mutex_);
    const bool is_needed = job.pending.trial.is_suspect() && !hold.standing->is_proven();
    return is_needed ? FindWitness(job.pending.needs) : nullptr;
  }

  std::shared_ptr<const Witness> FindWitness(const DeviceKind& kind)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return witness_ != nullptr && witness_->kind == kind ? witness_ : nullptr;
  }

  static std::shared_ptr<const Witness> MakeWitness(const Hold& hold, const Job& job) {
    const MeasureRequest& request = job.request;
    auto witness = std::make_shared<Witness>(
        Witness{job.pending.needs, std::string(hold.lease->device()), job.artifact,
                request.task.workload(), request.cases, request.plan});
    witness->plan.time = false;
    return witness;
  }

  // Lets the device run what was right elsewhere, before the trial. kCounts: it is well.
  Verdict Try(Hold& hold, const Witness& witness, Job& job) {
    const auto result = RunWithPatience(
        *hold.lease, {&witness.artifact, witness.workload, witness.cases, witness.plan});
    hold.has_run = true;
    absl::MutexLock lock(&mutex_);
    changed_.SignalAll();
    DeviceStanding& here = *hold.standing;
    Status lost = DeviceLoss(result);
    if (lost.ok()) {
      const Failure* failure = FailureOf(result);
      if (failure == nullptr) {
        ++answers_;
        here.Prove();
        return Verdict::kCounts;
      }
      const bool is_wrong = failure->kind == FailureKind::kWrongResult;
      lost = Error(StatusCode::kUnavailable,
                   is_wrong ? "gives wrong results: " : "fails: ", Name(failure->kind),
                   " of a kernel that was right on ", witness.device, ": ", failure->message);
      here.Accuse(Message(lost));
      job.trouble = lost.code();
      hold.is_lost = true;
      return job.trial().OnUnwell(here, Message(lost), answers_);
    }
    return Lost(hold, job, lost, false);
  }

  Verdict Lost(Hold& hold, Job& job, const Status& lost, bool while_running)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    hold.is_lost = true;
    job.trouble = lost.code();
    if (hold.number <= job.leases_before_loss) {
      return job.trial().OnLostWithTheLast(*hold.standing, while_running, Message(lost));
    }
    job.leases_before_loss = leases_taken_;
    return job.trial().OnLost(*hold.standing, while_running, Message(lost), answers_);
  }

  // A lost device's trial goes to the end of the queue, so that one that never fares well keeps no
  // other waiting; one that needs a second opinion is the next for whoever can give it.
  void Again(Hold& hold, JobPtr job) {
    const bool was_lost = hold.is_lost;
    if (was_lost) Release(hold);
    if (!Requeue(job, was_lost)) job->done(Withdrawn());
  }

  // False: it was withdrawn while it ran, and is still the caller's.
  bool Requeue(JobPtr& job, bool was_lost) {
    absl::MutexLock lock(&mutex_);
    if (IsWithdrawn(*job)) return false;
    if (was_lost) {
      job->pending.not_before = clock_.Now() + PauseAfter(job->trial().losses_in_a_row());
      built_.push_back(std::move(job));
    } else {
      built_.push_front(std::move(job));
    }
    changed_.SignalAll();
    return true;
  }

  // None after a first loss: there may be other devices. Then each is up to twice as long, and of a
  // random length, so that clients that lost their devices together do not come back together.
  Nanoseconds PauseAfter(std::int32_t losses) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (losses < 2) return Nanoseconds(0);
    const Nanoseconds whole =
        std::min(options_.longest_pause, options_.first_pause * (1 << std::min(losses - 2, 20)));
    return std::chrono::duration_cast<Nanoseconds>(whole * (0.5 + 0.5 * jitter_.Unit()));
  }

  void Finish(Hold& hold, const Job& job, RunResult result) {
    Trial trial = MakeTrial(job, job.artifact.code_digest, std::move(result.outcome),
                            std::string(hold.lease->device()));
    trial.before = result.before;
    trial.after = result.after;
    trial.log = std::move(result.log);
    if (hold.is_lost) Release(hold);
    job.done(std::move(trial));
  }

  void FailQueued(const Status& status) {
    std::deque<JobPtr> failed;
    {
      absl::MutexLock lock(&mutex_);
      failed = TakeQueued();
    }
    for (const JobPtr& job : failed) job->done(status);
  }

  // What is built or waits to be.
  std::deque<JobPtr> TakeQueued() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::deque<JobPtr> queued = std::exchange(built_, {});
    std::ranges::move(waiting_, std::back_inserter(queued));
    waiting_.clear();
    return queued;
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
  std::set<Job*> building_ ABSL_GUARDED_BY(mutex_);         // in the hands of build threads
  std::multiset<HeldDevice> held_ ABSL_GUARDED_BY(mutex_);  // by all device threads
  std::int32_t asking_ ABSL_GUARDED_BY(mutex_) = 0;         // device threads that wait for a lease
  std::int64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;        // how often one was not given any
  std::int64_t refusals_ ABSL_GUARDED_BY(mutex_) = 0;       // how often what was queued has failed
  std::uint64_t submitted_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t withdrawn_ ABSL_GUARDED_BY(mutex_) = 0;  // the last one submitted before
  std::uint64_t answers_ ABSL_GUARDED_BY(mutex_) = 0;    // of all devices
  std::int64_t leases_taken_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<const Witness> witness_ ABSL_GUARDED_BY(mutex_);
  // Of leases given back that somebody's verdict may still accuse, and what has come of it.
  std::vector<std::shared_ptr<DeviceStanding>> former_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> late_blames_ ABSL_GUARDED_BY(mutex_);  // by device
  // By task and config.
  std::map<std::pair<std::string, Config>, Failure> killers_ ABSL_GUARDED_BY(mutex_);
  Rng jitter_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;  // last: they use everything above
};

}  // namespace

std::unique_ptr<Measurer> NewPipelineMeasurer(Builder& builder, DevicePool& devices,
                                              const Clock& clock, const PipelineOptions& options) {
  return std::make_unique<PipelineMeasurer>(builder, devices, clock, options);
}

}  // namespace kiln
