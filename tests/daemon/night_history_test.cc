// Random histories of two daemons on one queue: jobs are submitted, paused, cancelled; tuners make
// trials, end, die; daemons are killed, started again, and frozen for longer than their leases;
// windows open and close, clocks are set. A model that knows only what was asked and what the tuners
// said is held against the queue after every step. KILN_SEED repeats one history.

#include <cstdlib>
#include <optional>
#include <set>

#include "base/rng.h"
#include "daemon/night_daemon.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spdlog/spdlog.h"
#include "tests/base/temporary_directory.h"
#include "tests/daemon/fake_night.h"

namespace kiln {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr minutes kLease{10};  // long: fewer signs of life
constexpr minutes kBriefLease{4};
const std::vector<std::string> kTargets{"rasp4b", "pixel"};

// What the model knows of a job.
struct Expectation {
  NewJob job;
  bool cancelled = false, completed = false, failed = false, crashed = false;
  bool paused = false;            // by hand
  std::int64_t least_trials = 0;  // that were told to a daemon whose claim was good
};

// One daemon, its tuners and its loop.
struct Keeper {
  Keeper(FakeClock& clock, JobStore& jobs, std::string its_name)
      : name(std::move(its_name)), reactor(clock), tuners(reactor), store(jobs), time(clock) {}

  void Start() {
    DaemonConfig config = NightConfig();
    config.name = name;
    config.jobs_per_user = 2;
    config.lease = name == "owl" ? kLease : kBriefLease;
    night =
        NightDaemon::Create({.reactor = reactor, .clock = time, .store = store, .tuners = tuners},
                            config, "/db", name + "/" + std::to_string(++instance));
    night->Start();
    reactor.RunDue();
  }
  // As SIGKILL does it; its tuners die with it.
  void Kill() {
    night.reset();
    for (const auto& tuner : tuners.all) tuner->gone = true;
    is_frozen = false;
  }
  bool lives() const { return night != nullptr && !is_frozen; }

  const std::string name;
  FakeReactor reactor;
  FakeTuners tuners;
  JobStore& store;
  FakeClock& time;
  int instance = 0;
  bool is_frozen = false;
  std::shared_ptr<NightDaemon> night;
};

class History {
 public:
  History(std::uint64_t seed, std::shared_ptr<JobStore> first, std::shared_ptr<JobStore> second)
      : rng_(seed), stores_{std::move(first), std::move(second)} {
    keepers_.push_back(std::make_unique<Keeper>(clock_, *stores_[0], "owl"));
    keepers_.push_back(std::make_unique<Keeper>(clock_, *stores_[1], "hawk"));
    for (const auto& keeper : keepers_) keeper->Start();
  }

  // What is wrong after some step; empty: nothing.
  std::string Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      Settle();
      if (std::string wrong = Check(); !wrong.empty())
        return "step " + std::to_string(i) + " (" + last_ + "): " + wrong;
    }
    return "";
  }

 private:
  std::uint64_t Below(std::uint64_t bound) { return rng_.Below(bound); }
  std::int64_t Now() const { return ToUnixMs(clock_.Today()); }
  JobStore& store() { return *stores_[0]; }

  void Step() {
    switch (Below(14)) {
      case 0:
      case 1:
      case 2:
        return Submit();
      case 3:
        return Wish();
      case 4:
      case 5:
      case 6:
      case 7:
        return SpeakAsTuner();
      case 8:
        last_ = "kill or start a daemon";
        return KillOrStart();
      case 9:
        last_ = "freeze or thaw";
        return FreezeOrThaw();
      case 10:
        last_ = "clock set";
        clock_.Step(minutes(static_cast<std::int64_t>(Below(600)) - 300));
        settled_at_ = clock_.Now() + kLease + minutes(1);
        return;
      default:
        last_ = "time";
        return Pass(Below(4) == 0 ? std::chrono::nanoseconds(minutes(Below(150)))
                                  : std::chrono::nanoseconds(seconds(Below(300))));
    }
  }

  void Pass(std::chrono::nanoseconds time) {
    std::vector<FakeReactor*> running;
    for (const auto& keeper : keepers_) {
      if (keeper->lives()) running.push_back(&keeper->reactor);
    }
    FakeReactor::RunTogether(clock_, running, time);
  }

  // Whoever lives has seen the last step. More than a lease's time, so that nothing is lost any more,
  // would hide too much.
  void Settle() {
    for (int round = 0; round < 2; ++round) {
      for (const auto& keeper : keepers_) {
        if (!keeper->lives()) continue;
        keeper->night->Evaluate();
        keeper->reactor.RunDue();
      }
    }
  }

  void Submit() {
    last_ = "submit";
    NewJob job = FakeJob("job-" + std::to_string(Below(expected_.size() + 2)), kTargets[Below(2)]);
    if (const auto known = expected_.find(job.uuid); known != expected_.end()) {
      job = known->second.job;  // the client did not hear the answer
    } else {
      job.user = Below(2) == 0 ? "ann" : "bob";
      job.priority = static_cast<std::int32_t>(Below(3));
      if (Below(2) == 0) job.window = "night";
      if (Below(6) == 0) job.window = "nowhere";
      if (Below(4) == 0)
        job.deadline_ms = Now() + 1000 * static_cast<std::int64_t>(60 + Below(30'000));
      if (Below(5) == 0 && !ids_.empty())
        job.after = {1 + static_cast<std::int64_t>(Below(ids_.size()))};
    }
    const auto submitted = store().Submit(job, Now());
    if (!submitted.ok()) {
      broken_ = submitted.status().ToString();
      return;
    }
    expected_[job.uuid].job = job;
    ids_.insert(submitted->id);
  }

  void Wish() {
    last_ = "wish";
    if (ids_.empty()) return;
    const std::int64_t id = 1 + static_cast<std::int64_t>(Below(ids_.size()));
    const auto wish = static_cast<JobWish>(Below(4));
    const auto job = store().Wish(id, wish, "ann", Now());
    if (!job.ok()) return;
    Expectation& expectation = expected_[job->job.uuid];
    last_ += " " + std::string(Name(wish)) + " of " + std::to_string(id);
    if (wish == JobWish::kNone) expectation.paused = false;
    if (wish == JobWish::kPause) expectation.paused = true;
    if (wish == JobWish::kCancel || wish == JobWish::kCancelNow) expectation.cancelled = true;
  }

  // A tuner of a daemon that lives says something.
  void SpeakAsTuner() {
    last_ = "tuner";
    for (const auto& keeper : keepers_) {
      if (!keeper->lives()) continue;
      const std::vector<std::int64_t> jobs = keeper->tuners.Running();
      if (jobs.empty()) continue;
      const auto tuner = keeper->tuners.Of(jobs[Below(jobs.size())]);
      Speak(*tuner);
      return;
    }
  }

  void Speak(FakeTuners::Tuner& tuner) {
    const auto job = store().JobOf(tuner.order.job);
    Expectation& expectation = expected_[job->job.uuid];
    const std::uint64_t choice = Below(9);
    last_ += " of " + std::to_string(job->id) + " says " + std::to_string(choice);
    std::int64_t& made = made_[&tuner];
    switch (choice) {
      case 0:
        return tuner.Say(TunerBegun{.tasks = 2});
      case 1:
      case 2:
      case 3:
        made += 1;
        return tuner.Say(TunerTrial{.made = made});
      case 4:
        expectation.completed = true;
        expectation.least_trials += made;
        return tuner.End({.outcome = TunerOutcome::kComplete, .text = "complete", .made = made});
      case 5:
        expectation.crashed = true;
        return tuner.Die({.status = -11, .how = "killed by SIGSEGV"});
      case 6:
        expectation.failed = true;
        return tuner.End({.outcome = TunerOutcome::kError,
                          .trouble = TunerTrouble::kModel,
                          .text = "gone",
                          .made = made});
      case 7:
        return tuner.End({.outcome = TunerOutcome::kError,
                          .trouble = Below(2) ? TunerTrouble::kDevice : TunerTrouble::kStore,
                          .text = "away",
                          .made = made});
      default:
        return tuner.End({.outcome = tuner.stopped ? TunerOutcome::kStopped : TunerOutcome::kTime,
                          .text = "over",
                          .made = made});
    }
  }

  void KillOrStart() {
    Keeper& keeper = *keepers_[Below(2)];
    keeper.night ? keeper.Kill() : keeper.Start();
    // A daemon that dies with its job is a crash of it.
    for (auto& [uuid, expectation] : expected_) expectation.crashed = true;
  }

  void FreezeOrThaw() {
    Keeper& keeper = *keepers_[Below(2)];
    if (!keeper.night) return;
    keeper.is_frozen = !keeper.is_frozen;
    settled_at_ =
        clock_.Now() + kLease + minutes(1);  // it may find that the clock was set meanwhile
    for (auto& [uuid, expectation] : expected_) expectation.crashed = true;
  }

  // ---- what must hold

  std::string Check() {
    if (!broken_.empty()) return broken_;
    const std::vector<Job> jobs = *store().Jobs({.limit = 100'000});
    if (jobs.size() != expected_.size()) {
      return std::to_string(jobs.size()) + " jobs instead of " + std::to_string(expected_.size());
    }
    const bool anybody = keepers_[0]->lives() || keepers_[1]->lives();
    for (const Job& job : jobs) {
      const std::string wrong = CheckJob(job, jobs, anybody);
      if (!wrong.empty()) {
        return "job " + std::to_string(job.id) + ", " + std::string(Name(job.standing.state)) +
               "(" + std::string(Name(job.standing.reason)) + "): " + wrong + " [" +
               job.standing.text + "]";
      }
    }
    return CheckHolders(jobs);
  }

  // Of those that live, at most one tunes for a job, and the queue knows it as its holder; a target
  // has one job; what may not run any more has been asked to stop.
  std::string CheckHolders(const std::vector<Job>& jobs) {
    std::set<std::string> taken;
    for (const Job& job : jobs) {
      if (IsHeld(job.standing.state) && !taken.insert(job.job.target).second) {
        return "two jobs have " + job.job.target;
      }
    }
    std::set<std::int64_t> held;
    for (const auto& keeper : keepers_) {
      if (!keeper->lives()) continue;
      for (const std::int64_t id : keeper->tuners.Running()) {
        if (!held.insert(id).second) return "job " + std::to_string(id) + " has two tuners";
        const auto job = std::ranges::find(jobs, id, &Job::id);
        if (!IsHeld(job->standing.state) || !job->holder.starts_with(keeper->name + "/")) {
          return "job " + std::to_string(id) + " is tuned by " + keeper->name + ", and held by `" +
                 job->holder + "`";
        }
        if (!MayRun(*job) && !keeper->tuners.Of(id)->stopped) {
          return "job " + std::to_string(id) + " is not asked to stop";
        }
      }
    }
    return "";
  }

  bool IsOpen(const Job& job) const {
    const auto hour = std::chrono::floor<hours>(clock_.Today().time_since_epoch()).count() % 24;
    return job.job.window.empty() || (job.job.window == "night" && (hour >= 22 || hour < 6));
  }
  bool MayRun(const Job& job) const {
    const bool overdue = job.job.deadline_ms && *job.job.deadline_ms <= Now();
    return IsOpen(job) && !overdue && job.wish == JobWish::kNone;
  }

  std::string CheckJob(const Job& job, const std::vector<Job>& jobs, bool anybody) {
    const Expectation& expectation = expected_.at(job.job.uuid);
    if (job.job != expectation.job) return "its intent has changed";
    if (job.standing.text.empty()) return "no text";
    std::int64_t& epoch = epochs_[job.id];
    if (job.epoch < epoch) return "its epoch fell";
    epoch = job.epoch;
    if (job.trials < trials_[job.id]) return "trials were lost";
    trials_[job.id] = job.trials;
    if (job.trials < expectation.least_trials && job.standing.state == JobState::kDone) {
      return "trials are missing";
    }
    if (IsHeld(job.standing.state)) {
      if (job.holder.empty()) return "nobody holds it";
      const std::int64_t left = job.lease_until_ms - Now();
      if (anybody && clock_.Now() >= settled_at_ &&
          (left <= 0 || left > 2 * milliseconds(kLease).count()))
        return "whoever holds it is lost";
      return "";
    }
    if (!job.holder.empty()) return "somebody holds it";
    if (IsFinal(job.standing.state)) return CheckEnd(job, expectation);
    return anybody ? CheckReason(job, expectation, jobs) : "";
  }

  std::string CheckEnd(const Job& job, const Expectation& expectation) {
    const bool due = job.job.deadline_ms.has_value();
    switch (job.standing.state) {
      case JobState::kDone:
        return expectation.completed || (due && job.standing.reason == JobReason::kDeadline)
                   ? ""
                   : "nobody completed it";
      case JobState::kCancelled:
        return expectation.cancelled ? "" : "nobody cancelled it";
      case JobState::kExpired:
        return due ? "" : "it has no deadline";
      default:
        if (job.standing.reason == JobReason::kPoison)
          return expectation.crashed ? "" : "it never crashed";
        return expectation.failed ? "" : "it never failed";
    }
  }

  // Whether what it says is so.
  std::string CheckReason(const Job& job, const Expectation& expectation,
                          const std::vector<Job>& jobs) {
    if (expectation.paused && job.standing.reason != JobReason::kHeld) return "it was paused";
    switch (job.standing.reason) {
      case JobReason::kWindow:
        if (!IsOpen(job)) return "";
        return job.standing.text.find("in a moment") != std::string::npos ? ""
                                                                          : "its window is open";
      case JobReason::kHeld:
        return expectation.paused ? "" : "nobody paused it";
      case JobReason::kDependency: {
        const auto other = std::ranges::find(jobs, job.job.after.at(0), &Job::id);
        return other->standing.state != JobState::kDone ? "" : "what it comes after is done";
      }
      case JobReason::kTurn: {
        const bool taken = std::ranges::any_of(jobs, [&](const Job& other) {
          return IsHeld(other.standing.state) && other.job.target == job.job.target;
        });
        return taken ? "" : "nobody has its target";
      }
      case JobReason::kQuota: {
        const auto running = std::ranges::count_if(jobs, [&](const Job& other) {
          return IsHeld(other.standing.state) && other.job.user == job.job.user;
        });
        return running >= 2 ? "" : "its user has fewer running";
      }
      case JobReason::kDevice:
      case JobReason::kStore:
        return job.standing.text == "away" ? "" : "no device was away";
      default:
        return "no reason to wait";
    }
  }

  Rng rng_;
  FakeClock clock_{Noon(9)};
  SteadyTime settled_at_;  // when whoever is lost has been noticed after the clock was set
  std::vector<std::shared_ptr<JobStore>> stores_;
  std::vector<std::unique_ptr<Keeper>> keepers_;
  std::map<std::string, Expectation> expected_;  // by uuid
  std::set<std::int64_t> ids_;
  std::map<std::int64_t, std::int64_t> epochs_, trials_;
  std::map<const FakeTuners::Tuner*, std::int64_t> made_;
  std::string last_, broken_;
};

constexpr int kSteps = 40;

class NightHistoryTest : public ::testing::Test {
 protected:
  NightHistoryTest() { spdlog::set_level(spdlog::level::off); }
};

std::optional<std::uint64_t> SeedAsked() {
  const char* seed = std::getenv("KILN_SEED");
  return seed != nullptr ? std::optional(std::strtoull(seed, nullptr, 10)) : std::nullopt;
}

TEST_F(NightHistoryTest, HoldsInMemory) {
  const std::uint64_t count = SeedAsked() ? 1 : 10'000;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t seed = SeedAsked().value_or(i);
    const std::shared_ptr<JobStore> store = NewMemoryJobStore();
    ASSERT_EQ(History(seed, store, store).Run(kSteps), "") << "KILN_SEED=" << seed;
  }
}

TEST_F(NightHistoryTest, HoldsOnSqlite) {
  const std::uint64_t count = SeedAsked() ? 1 : 200;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t seed = SeedAsked().value_or(i);
    const TemporaryDirectory directory;
    std::vector<std::shared_ptr<JobStore>> stores;
    for (int side = 0; side < 2; ++side) {
      auto store = OpenSqliteJobStore(directory.File("tuning.db"), OpenMode::kReadWrite);
      ASSERT_TRUE(store.ok()) << store.status();
      stores.push_back(*std::move(store));
    }
    ASSERT_EQ(History(seed, stores[0], stores[1]).Run(kSteps), "") << "KILN_SEED=" << seed;
  }
}

}  // namespace
}  // namespace kiln
