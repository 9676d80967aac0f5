// Random histories of a queue with two holders that work on it at once, die and come back with claims
// that are over, while people wish, clocks are set and time passes. A model (tests/db/job_model.h) predicts
// every answer and every job. KILN_SEED repeats one history.

#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "base/rng.h"
#include "gtest/gtest.h"
#include "tests/db/job_model.h"
#include "tests/db/job_queue.h"

namespace kiln {
namespace {

using S = JobState;
using R = JobReason;

constexpr int kSteps = 80;

std::string Describe(const Job& job) {
  std::ostringstream out;
  out << Name(job.standing.state) << "(" << Name(job.standing.reason) << ": " << job.standing.text
      << ") since " << job.since_ms << ", wish " << Name(job.wish) << ", held by `" << job.holder
      << "` until " << job.lease_until_ms << ", epoch " << job.epoch << ", crashes " << job.crashes
      << ", trials " << job.trials << ", ran " << job.ran_ms << ", progress " << job.progress;
  return out.str();
}

class History {
 public:
  History(std::uint64_t seed, JobQueue& queue) : rng_(seed) {
    holders_ = {Holder{"owl", queue.Connect()}, Holder{"owls", queue.Connect()}};
  }

  // What is wrong after some step; empty: nothing.
  std::string Run() {
    for (int i = 0; i < kSteps; ++i) {
      model_.touched.reset();
      Step();
      CheckJobs();
      if (model_.touched) CheckTransitions(*model_.touched);
      if (i + 1 == kSteps) {
        for (const auto& [id, job] : model_.jobs) CheckTransitions(id);
      }
      if (!wrong_.empty()) return "step " + std::to_string(i) + " (" + step_ + "): " + wrong_;
    }
    return "";
  }

 private:
  struct Holder {
    std::string daemon;
    std::shared_ptr<JobStore> store;
    int instance = 1;
    std::string name() const { return daemon + "/" + std::to_string(instance); }
  };

  int Below(std::size_t bound) { return static_cast<int>(rng_.Below(bound)); }
  bool OneIn(std::size_t chances) { return rng_.Below(chances) == 0; }
  template <typename Value>
  Value OneOf(const std::vector<Value>& values) {
    return values[rng_.Below(values.size())];
  }
  // Daemons are configured each by its owner.
  std::chrono::milliseconds AnyTtl() {
    return OneOf<std::chrono::milliseconds>({kTtl, kTtl / 10, 4 * kTtl});
  }
  JobStore& Any() { return *holders_[rng_.Below(2)].store; }
  std::int64_t AnyId() { return rng_.Between(1, std::max<std::int64_t>(1, last_id_)); }

  void Expect(bool holds, const std::string& what) {
    if (!holds && wrong_.empty()) wrong_ = what;
  }
  void ExpectCode(const Status& got, StatusCode wanted) {
    Expect(got.code() == wanted,
           "it says " + got.ToString() + " instead of " + Status(wanted, "").ToString());
  }

  void Step() {
    switch (Below(16)) {
      case 0:
      case 1:
        return Submit();
      case 2:
      case 3:
      case 4:
        return Claim();
      case 5:
      case 6:
        return Beat();
      case 7:
      case 8:
      case 9:
        return Move();
      case 10:
      case 11:
        return Wish();
      case 12:
        return Explain();
      case 13:
        return Recover();
      case 14:
        return OneIn(6) ? Forget() : Die();
      default:
        return PassTime();
    }
  }

  void Submit() {
    step_ = "submit";
    NewJob job = JobOfUuid(std::to_string(Below(6)));
    if (OneIn(4)) job.name = "another job of that uuid";
    if (OneIn(5)) job.after = {rng_.Between(1, last_id_ + 1)};
    const auto submitted = Any().Submit(job, model_.now);
    ExpectCode(submitted.status(), model_.Submit(job));
    if (!submitted.ok() || !model_.touched) return;
    last_id_ = *model_.touched;
    Expect(submitted->id == last_id_, "its id is " + std::to_string(submitted->id));
  }

  void Claim() {
    const std::int64_t id = AnyId();
    const Holder& holder = holders_[rng_.Below(2)];
    step_ = "claim of " + std::to_string(id) + " by " + holder.name();
    const std::chrono::milliseconds ttl = AnyTtl();
    const auto claim = holder.store->Claim(id, holder.name(), model_.now, ttl);
    if (!model_.jobs.contains(id)) return ExpectCode(claim.status(), StatusCode::kNotFound);
    ExpectCode(claim.status(), model_.Claim(id, holder.name(), ttl.count()));
    if (!claim.ok()) return;
    Expect(claim->epoch == model_.jobs.at(id).epoch, "the epoch of the claim is another");
    claims_.push_back(*claim);
  }

  // Mostly a new one; others are mostly over.
  JobClaim AnyClaim() {
    if (claims_.empty()) return {1, 1};
    const std::size_t last = std::min<std::size_t>(claims_.size(), OneIn(3) ? 100 : 3);
    return claims_[claims_.size() - 1 - rng_.Below(last)];
  }
  JobProgress AnyProgress() {
    // Often of a run that has made none, so that crashes add up.
    return {OneIn(2) ? 0 : rng_.Between(0, 30), rng_.Between(0, 3000),
            OneIn(2) ? "" : std::to_string(Below(9))};
  }
  StatusCode WhyNot(const JobClaim& claim) {
    return model_.jobs.contains(claim.id) ? StatusCode::kAborted : StatusCode::kNotFound;
  }

  void Beat() {
    const JobClaim claim = AnyClaim();
    const JobProgress progress = AnyProgress();
    step_ = "beat of " + std::to_string(claim.id) + "/" + std::to_string(claim.epoch);
    const std::chrono::milliseconds ttl = AnyTtl();
    const auto wish = Any().Beat(claim, progress, model_.now, ttl);
    Job* job = model_.Holding(claim);
    if (job == nullptr) return ExpectCode(wish.status(), WhyNot(claim));
    ExpectCode(wish.status(), StatusCode::kOk);
    model_.Tell(*job, progress);
    job->lease_until_ms = model_.now + ttl.count();
    job->lease_ms = ttl.count();
    Expect(wish.ok() && *wish == job->wish, "another wish is heard");
  }

  void Move() {
    static const std::vector<std::pair<S, R>> kWays{
        {S::kRunning, R::kTuning}, {S::kFinishing, R::kConfirming}, {S::kFinishing, R::kConfirming},
        {S::kPaused, R::kWindow},  {S::kQueued, R::kTurn},          {S::kQueued, R::kRecovered},
        {S::kPaused, R::kHeld},    {S::kDone, R::kComplete},        {S::kDone, R::kDeadline},
        {S::kFailed, R::kError},   {S::kCancelled, R::kUser}};
    const JobClaim claim = AnyClaim();
    auto [state, reason] = OneOf(kWays);
    Job* job = model_.Holding(claim);
    if (job != nullptr && job->standing.state == S::kFinishing && state == S::kRunning)
      state = S::kFinishing;  // none goes back
    const bool crashed = state == S::kQueued && !OneIn(3);
    const JobProgress progress = AnyProgress();
    step_ = "move of " + std::to_string(claim.id) + "/" + std::to_string(claim.epoch) + " to " +
            std::string(Name(state)) + "(" + std::string(Name(reason)) + ")" +
            (crashed ? " after a crash" : "");
    const Status status =
        Any().Move(claim, {state, reason, "moved"}, progress, model_.now, crashed);
    if (job == nullptr) return ExpectCode(status, WhyNot(claim));
    ExpectCode(status, StatusCode::kOk);
    model_.Tell(*job, progress);
    model_.Move(*job, state, reason, crashed);
  }

  void Wish() {
    const std::int64_t id = AnyId();
    const auto wish = static_cast<JobWish>(OneOf<int>({0, 0, 1, 1, 1, 2, 3}));
    step_ = "wish " + std::string(Name(wish)) + " of " + std::to_string(id);
    const auto job = Any().Wish(id, wish, "ann", model_.now);
    const auto known = model_.jobs.find(id);
    if (known == model_.jobs.end()) return ExpectCode(job.status(), StatusCode::kNotFound);
    ExpectCode(job.status(), model_.Wish(known->second, wish));
    Expect(!job.ok() || *job == *Any().JobOf(id), "it returns another job than there is");
  }

  void Explain() {
    static const std::vector<std::pair<S, R>> kWays{
        {S::kQueued, R::kTurn}, {S::kQueued, R::kDevice},    {S::kPaused, R::kWindow},
        {S::kQueued, R::kTurn}, {S::kExpired, R::kDeadline}, {S::kRunning, R::kTuning}};
    if (seen_.empty()) return;
    const Job seen = OneIn(2) ? OneOf(seen_) : seen_.back();
    const auto [state, reason] = OneOf(kWays);
    const JobStanding to{state, reason, "explained " + std::to_string(Below(3))};
    step_ = "explain " + std::to_string(seen.id) + " as " + std::string(Name(state));
    ExpectCode(Any().Explain(seen, to, model_.now), model_.Explain(seen, to));
  }

  void Recover() { RecoverBy(OneOf<std::string>({"", "", "owl", "owls", "ow"})); }

  // It starts again, and takes back what it had; its claims of before may still be tried.
  void Die() {
    Holder& holder = holders_[rng_.Below(2)];
    holder.instance += 1;
    if (OneIn(2)) RecoverBy(holder.daemon);
  }

  void RecoverBy(const std::string& dead) {
    step_ = "recover `" + dead + "`";
    std::set<std::int64_t> lost;
    for (auto& [id, job] : model_.jobs) {
      if (model_.IsLost(job, dead)) lost.insert(id);
    }
    for (const std::int64_t id : lost) model_.Lose(model_.jobs.at(id));
    const auto recovered = Any().Recover(dead, model_.now);
    ExpectCode(recovered.status(), StatusCode::kOk);
    if (!recovered.ok()) return;
    Expect(recovered->size() == lost.size(), "it recovers " + std::to_string(recovered->size()));
    for (const Job& job : *recovered) {
      Expect(lost.contains(job.id), "job " + std::to_string(job.id) + " was not lost");
      model_.jobs.at(job.id).standing.text = job.standing.text;
      CheckTransitions(job.id);
    }
  }

  void Forget() {
    step_ = "forget";
    const std::int64_t ms = model_.now - rng_.Between(0, kTtlMs);
    const auto forgotten = Any().ForgetBefore(ms);
    const std::int64_t expected = model_.ForgetBefore(ms);
    Expect(forgotten.ok() && *forgotten == expected,
           "it does not forget " + std::to_string(expected));
  }

  void PassTime() {
    step_ = "time";
    const std::int64_t range = OneIn(3) ? 3 * kTtlMs : kTtlMs;
    model_.now += rng_.Between(OneIn(4) ? -range : 0, range);
  }

  // ---- what must hold

  void CheckJobs() {
    const std::vector<Job> jobs = *Any().Jobs({});
    Expect(jobs.size() == model_.jobs.size(),
           std::to_string(jobs.size()) + " jobs instead of " + std::to_string(model_.jobs.size()));
    std::set<std::int64_t> ids;
    for (const Job& job : jobs) {
      const auto known = model_.jobs.find(job.id);
      Expect(ids.insert(job.id).second && known != model_.jobs.end(),
             "job " + std::to_string(job.id) + " is there twice, or should not be");
      if (!wrong_.empty()) return;
      if (model_.touched == job.id) known->second.standing.text = job.standing.text;
      Expect(job == known->second, "job " + std::to_string(job.id) + " is " + Describe(job) +
                                       "; expected " + Describe(known->second));
      Expect(!job.standing.text.empty(), "job " + std::to_string(job.id) + " does not say why");
      Expect(job.epoch >= std::exchange(epochs_[job.id], job.epoch), "an epoch has fallen");
    }
    if (!jobs.empty() && OneIn(2)) seen_.push_back(OneOf(jobs));
    CheckRuns(jobs);
  }

  void CheckRuns(const std::vector<Job>& jobs) {
    const auto runs = Any().RunsSince(std::numeric_limits<std::int64_t>::min());
    Expect(runs->size() == model_.runs.size(), "runs are missing, or too many");
    std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> sums;
    std::set<std::int64_t> open;
    for (const JobRun& run : *runs) {
      const auto known = model_.runs.find({run.job, run.epoch});
      Expect(
          known != model_.runs.end() && run == known->second,
          "run " + std::to_string(run.epoch) + " of job " + std::to_string(run.job) + " differs");
      sums[run.job].first += run.trials;
      sums[run.job].second += run.ran_ms;
      if (!run.ended_ms) Expect(open.insert(run.job).second, "a job has two runs at once");
    }
    for (const Job& job : jobs) {
      Expect(sums[job.id] == std::pair(job.trials, job.ran_ms), "its runs have other sums");
      Expect(open.contains(job.id) == !job.holder.empty(), "a run is open without a holder");
    }
  }

  void CheckTransitions(std::int64_t id) {
    if (!model_.jobs.contains(id)) return;
    const auto steps = Any().Transitions(id);
    const Job& job = model_.jobs.at(id);
    const std::string name = "the history of job " + std::to_string(id);
    Expect(steps.ok() && !steps->empty(), name + " is empty");
    if (!wrong_.empty()) return;
    const JobTransition& first = steps->front();
    Expect(first.to.state == S::kQueued && first.to.reason == R::kTurn && first.epoch == 0 &&
               first.who == "ann" && first.at_ms == job.submitted_ms,
           name + " does not begin with its submission");
    for (std::size_t i = 1; i < steps->size(); ++i) {
      const std::string wrong = WhyIllegal((*steps)[i - 1], (*steps)[i]);
      Expect(wrong.empty(), name + ", step " + std::to_string(i) + ": " + wrong);
    }
    const JobTransition& last = steps->back();
    Expect(last.to.state == job.standing.state && last.to.reason == job.standing.reason &&
               last.at_ms == job.since_ms,
           name + " does not end with what it is");
  }

  static std::string WhyIllegal(const JobTransition& from, const JobTransition& to) {
    const bool is_claim = JobModel::Waits(from.to.state) && to.to.state == S::kRunning;
    if (JobModel::Ended(from.to.state)) return "it had ended";
    if (from.to.state == to.to.state && from.to.reason == to.to.reason) return "nothing changed";
    if (to.epoch != from.epoch + (is_claim ? 1 : 0)) return "its epoch is wrong";
    if (is_claim && to.to.reason != R::kStarting) return "it did not start";
    if (to.to.state == S::kFinishing && JobModel::Waits(from.to.state)) return "it never ran";
    if (to.to.state == S::kRunning && from.to.state == S::kFinishing) return "it went back";
    if (is_claim && to.who.find('/') == std::string::npos) return "nobody claimed it";
    return "";
  }

  Rng rng_;
  JobModel model_;
  std::vector<Holder> holders_;
  std::vector<JobClaim> claims_;  // that were made, most of them over
  std::vector<Job> seen_;
  std::map<std::int64_t, std::int64_t> epochs_;
  std::int64_t last_id_ = 0;
  std::string step_, wrong_;
};

void RunHistories(const JobQueueKind& kind, std::uint64_t count) {
  const char* seed = std::getenv("KILN_SEED");
  const std::uint64_t first = seed != nullptr ? std::strtoull(seed, nullptr, 10) : 0;
  for (std::uint64_t i = first; i < first + (seed != nullptr ? 1 : count); ++i) {
    const std::unique_ptr<JobQueue> queue = kind.make();
    ASSERT_EQ(History(i, *queue).Run(), "") << "KILN_SEED=" << i;
  }
}

TEST(JobHistoryTest, EveryHistoryInMemoryIsAsTheHeaderSays) { RunHistories(kMemoryJobs, 10'000); }

TEST(JobHistoryTest, EveryHistoryOnSqliteIsAsTheHeaderSays) { RunHistories(kSqliteJobs, 200); }

}  // namespace
}  // namespace kiln
