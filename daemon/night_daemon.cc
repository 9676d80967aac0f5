// A tick, from top to bottom (Evaluate): attend to what runs (signs of life, wishes, ends of
// windows), take back what others lost, submit what comes again, then make the agenda of what waits,
// begin what may begin and write down why the rest does not.

#include "daemon/night_daemon.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "daemon/agenda.h"
#include "daemon/recurrence.h"
#include "daemon/running_job.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kAllJobs = 1'000'000;
// A clock that differs by more from what should have passed has been set.
constexpr seconds kClockStep{2};
// After a target's device could not be had: doubled each time.
constexpr seconds kFirstTrouble{30}, kLongestTrouble{300};

// A database that others have locked is asked again so much later; asking at once would hold up
// whoever waits for this thread.
constexpr seconds kLockRest{1};

bool IsLocked(const Status& status) { return status.code() == StatusCode::kUnavailable; }

// Refusals that other daemons' or people's doings explain, and that the next tick sees for itself.
bool IsRace(const Status& status) {
  return status.code() == StatusCode::kAborted || status.code() == StatusCode::kFailedPrecondition;
}

class Night final : public NightDaemon, public std::enable_shared_from_this<Night> {
 public:
  Night(const Collaborators& with, DaemonConfig config, std::string database, std::string holder)
      : with_(with),
        config_(std::move(config)),
        database_(std::move(database)),
        holder_(std::move(holder)) {}

  void Start() override {
    NoteStore(TakeBack(holder_.substr(0, holder_.find('/'))));
    Evaluate();
  }

  void Wake() override {
    with_.reactor.Post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Evaluate();
    });
  }

  void Evaluate() override {
    ++tick_;
    now_ = with_.clock.Today();
    steady_ = with_.clock.Now();
    until_ = now_ + seconds(60);
    NoteClock();
    Status worst = Attend();
    const auto also = [&worst](Status status) {
      if (worst.ok()) worst = std::move(status);
    };
    // Where not even a sign of life is taken, leases look over that are not.
    if (!worst.ok()) settled_at_ = steady_ + LongestLease();
    if (!IsLocked(worst) && steady_ >= settled_at_) also(TakeBack(""));
    if (!IsLocked(worst) && !stopping_) also(SubmitOccurrences());
    if (!IsLocked(worst) && !stopping_) also(BeginAndExplain());
    NoteStore(worst);
    if (with_.observer != nullptr) with_.observer->OnTick();
    PlanNextTick();
  }

  void Reload(DaemonConfig config) override {
    config_ = std::move(config);
    Evaluate();
  }
  const DaemonConfig& config() const override { return config_; }

  void Stop(std::function<void()> done) override {
    stopping_ = true;
    done_ = std::move(done);
    steady_ = with_.clock.Now();
    for (auto& [id, run] : running_) {
      run->shutting_down = true;
      AskToStop(*run);
    }
    PlanNextTick();
    TellIfDone();
  }

  void KillAll() override {
    for (auto& [id, run] : running_) Kill(*run);
  }

  Job Present(Job job) const override {
    const auto found = running_.find(job.id);
    if (found != running_.end() && found->second->verdict) {
      job.standing = found->second->verdict->to;
      job.standing.text += " (not written yet: " + store_trouble_ + ")";
    } else if (!store_trouble_.empty() && !IsHeld(job.standing.state) &&
               !IsFinal(job.standing.state) && job.standing.reason != JobReason::kHeld) {
      job.standing.reason = JobReason::kStore;
      job.standing.text = store_trouble_;
    } else if (job.standing.reason == JobReason::kWindow) {
      AddCountdown(job);
    }
    return job;
  }
  const std::string& store_trouble() const override { return store_trouble_; }
  std::size_t running() const override { return running_.size(); }

 private:
  struct Trouble {
    std::string text;
    SteadyTime until;
    seconds delay{0};
  };

  // "in 3h12" would change the text, and so the database, every minute.
  void AddCountdown(Job& job) const {
    const WallTime now = with_.clock.Today();
    const TimeWindow* window = WindowNamed(config_, job.job.window);
    if (window == nullptr || window->IsOpen(now)) return;
    job.standing.text = "window " + job.job.window + " " + window->Describe(now);
  }

  std::int64_t NowMs() const { return ToUnixMs(with_.clock.Today()); }
  milliseconds Lease() const { return config_.lease; }
  // Of all daemons on this queue: whoever lives has said so within this time.
  milliseconds LongestLease() const {
    milliseconds longest = Lease();
    const StatusOr<std::vector<Job>> held =
        with_.store.Jobs({.states = {JobState::kRunning, JobState::kFinishing}, .limit = kAllJobs});
    if (!held.ok()) return longest;
    for (const Job& job : *held) longest = std::max(longest, milliseconds(job.lease_ms));
    return longest;
  }

  // ---- what runs

  Status Attend() {
    Status worst;
    std::vector<std::int64_t> lost;
    for (auto& [id, run] : running_) {
      if (run->verdict) continue;
      if (!IsLocked(worst)) {
        const StatusOr<JobWish> wish =
            with_.store.Beat(run->claim, run->Progress(steady_), ToUnixMs(now_), Lease());
        if (wish.status().code() == StatusCode::kAborted) {
          lost.push_back(id);
          continue;
        }
        if (!wish.ok()) worst = wish.status();
        if (wish.ok()) Heed(*run, *wish);
      }
      const std::optional<JobEnd> end = EndOf(config_, run->job, now_);
      if (end && end->at <= now_) AskToStop(*run);
      if (end && end->at > now_) until_ = std::min(until_, end->at);
      if (run->kill_at && *run->kill_at <= steady_) Kill(*run);
    }
    for (const std::int64_t id : lost) Lose(id);
    std::vector<std::int64_t> unwritten;
    for (const auto& [id, run] : running_) {
      if (run->verdict) unwritten.push_back(id);
    }
    for (const std::int64_t id : unwritten) {
      if (IsLocked(worst)) break;
      if (Status status = Write(id); !status.ok()) worst = std::move(status);
    }
    return worst;
  }

  void Heed(RunningJob& run, JobWish wish) {
    run.wish = wish;
    if (wish == JobWish::kCancelNow) return Kill(run);
    if (wish != JobWish::kNone) AskToStop(run);
  }

  void AskToStop(RunningJob& run) {
    if (run.kill_at || !run.tuner) return;
    run.kill_at = steady_ + config_.grace;
    run.tuner->Stop();
  }

  void Kill(RunningJob& run) {
    if (run.killed || !run.tuner) return;
    run.killed = true;
    run.tuner->Kill();
  }

  // Another daemon has it, or somebody took it from us.
  void Lose(std::int64_t id) {
    spdlog::warn("job {} was taken from this daemon: its lease was over", id);
    running_.erase(id);
    TellIfDone();
  }

  void OnEvent(std::int64_t id, std::int64_t epoch, const TunerEvent& event) {
    RunningJob* run = Find(id, epoch);
    if (run == nullptr) return;
    const bool moved = run->Observe(event);
    // It has said its last word, and has only to go.
    if (run->word && !run->kill_at) run->kill_at = with_.clock.Now() + config_.grace;
    if (std::holds_alternative<TunerTrial>(event)) trouble_.erase(run->job.job.target);
    if (with_.observer != nullptr) with_.observer->OnTunerEvent(run->job, event);
    if (!moved) return;
    const Status status =
        with_.store.Move(run->claim, run->job.standing, run->Progress(with_.clock.Now()), NowMs());
    if (status.code() == StatusCode::kAborted) return Lose(id);
    NoteStore(status);
    Publish(run->job);
  }

  void OnEnded(std::int64_t id, std::int64_t epoch, const ProgramEnd& program) {
    RunningJob* run = Find(id, epoch);
    if (run == nullptr) return;
    run->verdict = JudgeRun(run->End(program), run->job, config_, with_.clock.Today());
    NoteVerdict(*run);
    run->tuner.reset();
    NoteStore(Write(id));
    TellIfDone();
    if (!stopping_) Wake();
  }

  void NoteVerdict(const RunningJob& run) {
    const RunVerdict& verdict = *run.verdict;
    spdlog::info("job {}: {} ({}): {}", run.job.id, Name(verdict.to.state), Name(verdict.to.reason),
                 verdict.to.text);
    if (verdict.rest_until) rests_[run.job.id] = {*verdict.rest_until, verdict.to};
    if (!verdict.is_device_trouble) return;
    Trouble& trouble = trouble_[run.job.job.target];
    trouble.text = verdict.to.text;
    trouble.delay = std::clamp(2 * trouble.delay, kFirstTrouble, kLongestTrouble);
    trouble.until = with_.clock.Now() + trouble.delay;
  }

  // The verdict on a job whose tuner has ended; stays, for the next tick, where the store does not take
  // it now.
  Status Write(std::int64_t id) {
    const auto found = running_.find(id);
    RunningJob& run = *found->second;
    const Status status = with_.store.Move(run.claim, run.verdict->to, run.Progress(EndOfRun(run)),
                                           NowMs(), run.verdict->crashed);
    if (!status.ok() && !IsRace(status)) return status;
    const bool written = status.ok();
    running_.erase(found);
    if (written) PublishStored(id);
    return {};
  }

  SteadyTime EndOfRun(RunningJob& run) const {
    if (!run.ended_at) run.ended_at = with_.clock.Now();
    return *run.ended_at;
  }

  RunningJob* Find(std::int64_t id, std::int64_t epoch) {
    const auto found = running_.find(id);
    return found != running_.end() && found->second->claim.epoch == epoch ? found->second.get()
                                                                          : nullptr;
  }

  // ---- what waits

  Status TakeBack(const std::string& dead) {
    ASSIGN_OR_RETURN(const std::vector<Job> jobs, with_.store.Recover(dead, NowMs()));
    for (const Job& job : jobs) {
      spdlog::warn("job {} was lost by {}: {}", job.id,
                   job.holder.empty() ? "its daemon" : job.holder, job.standing.text);
      Publish(job);
    }
    return {};
  }

  Status SubmitOccurrences() {
    ASSIGN_OR_RETURN(const std::vector<JobSeries> series, with_.store.Series());
    if (series.empty()) return {};
    ASSIGN_OR_RETURN(const std::vector<Job> jobs, Unfinished());
    for (const NewJob& due : DueOccurrences(series, jobs, config_, now_)) {
      const StatusOr<Job> job = with_.store.Submit(due, ToUnixMs(now_));
      // It is there already, from a night whose job has ended, or of a series that was replaced since.
      if (job.status().code() == StatusCode::kAlreadyExists) continue;
      RETURN_IF_ERROR(job.status());
    }
    return {};
  }

  StatusOr<std::vector<Job>> Unfinished() const {
    return with_.store.Jobs(
        {.states = {JobState::kQueued, JobState::kRunning, JobState::kPaused, JobState::kFinishing},
         .limit = kAllJobs});
  }

  Status BeginAndExplain() {
    ASSIGN_OR_RETURN(const std::vector<Job> jobs, Unfinished());
    if (jobs.empty()) return {};
    ASSIGN_OR_RETURN(const std::vector<JobRun> runs,
                     with_.store.RunsSince(ToUnixMs(now_ - kFairnessMemory)));
    AgendaInput input{.config = config_, .now = now_, .jobs = jobs, .runs = runs};
    ASSIGN_OR_RETURN(input.ended, EndedPredecessors(jobs));
    for (const auto& [target, trouble] : trouble_) {
      if (trouble.until > steady_) input.trouble.emplace(target, trouble.text);
    }
    std::erase_if(rests_, [this](const auto& rest) { return rest.second.until <= now_; });
    input.rests = rests_;
    input.check_target = with_.check_target;
    const Agenda agenda = MakeAgenda(input);
    until_ = std::min(until_, agenda.until);
    RETURN_IF_ERROR(Explain(agenda.explain));
    for (const Job& job : agenda.start) RETURN_IF_ERROR(Begin(job));
    return {};
  }

  StatusOr<std::map<std::int64_t, JobState>> EndedPredecessors(const std::vector<Job>& jobs) const {
    std::set<std::int64_t> ids;
    for (const Job& job : jobs) ids.insert(job.job.after.begin(), job.job.after.end());
    for (const Job& job : jobs) ids.erase(job.id);
    std::map<std::int64_t, JobState> states;
    for (const std::int64_t id : ids) {
      const StatusOr<Job> job = with_.store.JobOf(id);
      if (job.status().code() == StatusCode::kNotFound) continue;
      RETURN_IF_ERROR(job.status());
      states.emplace(id, job->standing.state);
    }
    return states;
  }

  Status Explain(std::vector<JobStore::Explanation> explanations) {
    std::erase_if(explanations, [](const auto& each) { return each.to == each.seen.standing; });
    if (explanations.empty()) return {};
    ASSIGN_OR_RETURN(const std::vector<Job> moved,
                     with_.store.ExplainAll(explanations, ToUnixMs(now_)));
    for (const Job& job : moved) Publish(job);
    return {};
  }

  Status Begin(const Job& job) {
    const StatusOr<JobClaim> claim = with_.store.Claim(job.id, holder_, ToUnixMs(now_), Lease());
    if (IsRace(claim.status())) return {};
    RETURN_IF_ERROR(claim.status());
    auto run = std::make_unique<RunningJob>();
    run->job = job;
    run->job.standing = {JobState::kRunning, JobReason::kStarting, "its tuner is starting"};
    run->claim = *claim;
    run->begun = steady_;
    RunningJob& begun = *running_.insert_or_assign(job.id, std::move(run)).first->second;
    rests_.erase(job.id);
    Publish(begun.job);
    if (const std::optional<RunVerdict> at_once = StartTuner(begun)) {
      begun.verdict = *at_once;
      NoteVerdict(begun);
      return Write(job.id);
    }
    return {};
  }

  // A verdict: there is nothing to run, or it cannot be.
  std::optional<RunVerdict> StartTuner(RunningJob& run) {
    StatusOr<TunerOrder> order = OrderFor(run.job);
    if (!order.ok()) {
      return RunVerdict{{JobState::kFailed, JobReason::kError, Message(order.status())}};
    }
    run.spec = order->spec;
    order->database = database_;
    order->tracker = config_.tracker;
    order->tls = config_.farm_tls;
    order->client = config_.name + ":job-" + std::to_string(run.job.id);
    LimitTime(run, *order);
    if (order->seconds && *order->seconds <= 0) {
      return RunVerdict{
          {JobState::kDone, JobReason::kComplete, "the time that it was given is used up"}};
    }
    StatusOr<std::unique_ptr<JobTuner>> tuner = with_.tuners.Start(
        *order, {[weak = weak_from_this(), claim = run.claim](const TunerEvent& event) {
                   if (const auto self = weak.lock()) self->OnEvent(claim.id, claim.epoch, event);
                 },
                 [weak = weak_from_this(), claim = run.claim](const ProgramEnd& program) {
                   if (const auto self = weak.lock()) self->OnEnded(claim.id, claim.epoch, program);
                 }});
    if (!tuner.ok()) {
      return RunVerdict{.to = {JobState::kQueued, JobReason::kRecovered, Message(tuner.status())},
                        .crashed = true,
                        .rest_until = now_ + kFirstTrouble};
    }
    run.tuner = *std::move(tuner);
    return std::nullopt;
  }

  void LimitTime(RunningJob& run, TunerOrder& order) const {
    if (const std::optional<JobEnd> end = EndOf(config_, run.job, now_)) {
      order.seconds = std::chrono::duration<double>(end->at - now_).count();
      run.limit = end->is_deadline ? TimeLimit::kDeadline : TimeLimit::kWindow;
    }
    if (!run.spec.seconds) return;
    const double left = static_cast<double>(*run.spec.seconds) - 1e-3 * double(run.job.ran_ms);
    if (order.seconds && *order.seconds <= left) return;
    order.seconds = left;
    run.limit = TimeLimit::kBudget;
  }

  // ---- the rest

  void Publish(const Job& job) {
    if (with_.observer != nullptr) with_.observer->OnTransition(job);
  }
  void PublishStored(std::int64_t id) {
    if (with_.observer == nullptr) return;
    const StatusOr<Job> job = with_.store.JobOf(id);
    if (job.ok()) with_.observer->OnTransition(*job);
  }

  void NoteClock() {
    const auto passed = (now_ - last_now_) - (steady_ - last_steady_);
    if (last_steady_ != SteadyTime() && std::chrono::abs(passed) > kClockStep) {
      spdlog::warn("the clock was set {} by {}: windows and deadlines are looked at anew",
                   passed.count() > 0 ? "forward" : "back", FormatSpan(std::chrono::abs(passed)));
      // Leases look over now that are not: whoever lives has this long to say so.
      settled_at_ = steady_ + LongestLease();
      rests_.clear();  // until times that mean something else now
    }
    last_now_ = now_;
    last_steady_ = steady_;
  }

  void NoteStore(const Status& status) {
    const std::string text = status.ok() ? "" : Message(status);
    is_locked_ = IsLocked(status);
    if (text != store_trouble_) {
      if (!text.empty()) spdlog::error("the database cannot be used: {}", text);
      if (text.empty()) spdlog::info("the database can be used again");
    }
    store_trouble_ = text;
  }

  void PlanNextTick() {
    std::chrono::nanoseconds delay = std::max<std::chrono::nanoseconds>(until_ - now_, {});
    const auto sooner = [&](std::chrono::nanoseconds other) { delay = std::min(delay, other); };
    if (!running_.empty() || !store_trouble_.empty()) sooner(Lease() / 3);
    if (is_locked_) sooner(kLockRest);
    for (const auto& [id, run] : running_) {
      if (run->kill_at && !run->killed) sooner(*run->kill_at - steady_);
    }
    for (const auto& [target, trouble] : trouble_) {
      if (trouble.until > steady_) sooner(trouble.until - steady_);
    }
    with_.reactor.After(std::max<std::chrono::nanoseconds>(delay, milliseconds(1)),
                        [weak = weak_from_this(), tick = tick_] {
                          const auto self = weak.lock();
                          if (self && self->tick_ == tick) self->Evaluate();
                        });
  }

  void TellIfDone() {
    const bool runs = std::ranges::any_of(
        running_, [](const auto& entry) { return entry.second->tuner != nullptr; });
    if (stopping_ && !runs && done_) std::exchange(done_, nullptr)();
  }

  const Collaborators with_;
  DaemonConfig config_;
  const std::string database_, holder_;

  std::map<std::int64_t, std::unique_ptr<RunningJob>> running_;
  std::map<std::int64_t, AgendaInput::Rest> rests_;
  std::map<std::string, Trouble> trouble_;  // by target
  std::string store_trouble_;
  bool is_locked_ = false;  // that is the trouble
  bool stopping_ = false;
  std::function<void()> done_;

  std::uint64_t tick_ = 0;
  WallTime now_, last_now_, until_;  // of the tick; until_: the next one is due
  SteadyTime steady_, last_steady_;
  SteadyTime settled_at_;  // leases mean nothing before
};

}  // namespace

std::shared_ptr<NightDaemon> NightDaemon::Create(const Collaborators& with, DaemonConfig config,
                                                 std::string database, std::string holder) {
  return std::make_shared<Night>(with, std::move(config), std::move(database), std::move(holder));
}

}  // namespace kiln
