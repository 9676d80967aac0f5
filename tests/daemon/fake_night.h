#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/reactor.h"
#include "daemon/daemon_config.h"
#include "daemon/job_tuner.h"
#include "daemon/night_daemon.h"

// A night without time, processes or files: the test says what time it is and what tuners do.

namespace kiln {

// Civil and steady time, set by the test.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(WallTime start) : wall_(start) {}
  SteadyTime Now() const override { return steady_; }
  WallTime Today() const override { return wall_; }
  void Pass(std::chrono::nanoseconds time) {
    steady_ += std::chrono::duration_cast<SteadyTime::duration>(time);
    wall_ += std::chrono::duration_cast<WallTime::duration>(time);
  }
  // Somebody sets the clock.
  void Step(std::chrono::nanoseconds by) {
    wall_ += std::chrono::duration_cast<WallTime::duration>(by);
  }

 private:
  SteadyTime steady_{std::chrono::hours(1)};
  WallTime wall_;
};

// Runs its work when the test lets time pass.
class FakeReactor final : public Reactor {
 public:
  explicit FakeReactor(FakeClock& clock) : clock_(clock) {}
  void OnTermination(std::function<void(int)>) override {}
  void OnHangUp(std::function<void()>) override {}
  void Post(std::function<void()> work) override {
    After(std::chrono::nanoseconds(0), std::move(work));
  }
  void After(std::chrono::nanoseconds delay, std::function<void()> work) override {
    work_.emplace(std::pair(clock_.Now() + delay, ++number_), std::move(work));
  }

  // Everything that is due, and what becomes due by it.
  void RunDue() {
    while (!work_.empty() && work_.begin()->first.first <= clock_.Now()) {
      auto work = std::move(work_.begin()->second);
      work_.erase(work_.begin());
      work();
    }
  }
  void Run(std::chrono::nanoseconds time) { RunTogether(clock_, {this}, time); }

  // Lets time pass for several at once.
  static void RunTogether(FakeClock& clock, const std::vector<FakeReactor*>& reactors,
                          std::chrono::nanoseconds time) {
    const SteadyTime end = clock.Now() + time;
    while (true) {
      SteadyTime next = end + std::chrono::nanoseconds(1);
      for (FakeReactor* reactor : reactors) {
        reactor->RunDue();
        if (!reactor->work_.empty()) next = std::min(next, reactor->work_.begin()->first.first);
      }
      if (next > end) break;
      clock.Pass(std::max<std::chrono::nanoseconds>(next - clock.Now(), {}));
    }
    clock.Pass(end - clock.Now());
  }

 private:
  FakeClock& clock_;
  std::uint64_t number_ = 0;
  std::map<std::pair<SteadyTime, std::uint64_t>, std::function<void()>> work_;
};

// Tuners that do what the test says.
class FakeTuners final : public JobTuners {
 public:
  struct Tuner {
    TunerOrder order;
    Observer observer;
    bool stopped = false, killed = false, gone = false;
    bool runs() const { return !gone && !killed; }

    void Say(const TunerEvent& event) const { observer.event(event); }
    // It ends; `word`: its last.
    void End(TunerEnded word) {
      Say(word);
      Die({.status = word.outcome == TunerOutcome::kError ? 1 : 0, .how = "exited"});
    }
    void Die(const ProgramEnd& end) {
      gone = true;
      const auto ended = std::move(observer.ended);
      ended(end);
    }
  };

  explicit FakeTuners(Reactor& reactor) : reactor_(reactor) {}

  StatusOr<std::unique_ptr<JobTuner>> Start(const TunerOrder& order, Observer observer) override {
    if (!refusal.ok()) return refusal;
    auto tuner = std::make_shared<Tuner>(Tuner{order, std::move(observer)});
    all.push_back(tuner);
    return std::make_unique<Handle>(reactor_, tuner);
  }

  // Of a job, the last one; null: none has been started.
  std::shared_ptr<Tuner> Of(std::int64_t job) const {
    const auto found = std::find_if(all.rbegin(), all.rend(),
                                    [job](const auto& tuner) { return tuner->order.job == job; });
    return found == all.rend() ? nullptr : *found;
  }
  std::vector<std::int64_t> Running() const {
    std::vector<std::int64_t> jobs;
    for (const auto& tuner : all) {
      if (tuner->runs()) jobs.push_back(tuner->order.job);
    }
    return jobs;
  }

  std::vector<std::shared_ptr<Tuner>> all;
  Status refusal;

 private:
  class Handle final : public JobTuner {
   public:
    Handle(Reactor& reactor, std::shared_ptr<Tuner> tuner)
        : reactor_(reactor), tuner_(std::move(tuner)) {}
    ~Handle() override { tuner_->gone = true; }
    void Stop() override { tuner_->stopped = true; }
    void Kill() override {
      if (!tuner_->runs()) return;
      tuner_->killed = true;
      reactor_.Post([tuner = tuner_] {
        if (tuner->gone) return;
        tuner->Die({.status = -9, .how = "killed by SIGKILL"});
      });
    }

   private:
    Reactor& reactor_;
    const std::shared_ptr<Tuner> tuner_;
  };

  Reactor& reactor_;
};

// A store that may refuse whatever its holder writes of a job, as one that another program has locked.
class LockableJobStore final : public JobStore {
 public:
  explicit LockableJobStore(JobStore& store) : store_(store) {}
  Status refusal;
  int refusals = 0;  // so far

  StatusOr<JobWish> Beat(const JobClaim& claim, const JobProgress& progress, std::int64_t now_ms,
                         std::chrono::milliseconds ttl) override {
    RETURN_IF_ERROR(Refuse());
    return store_.Beat(claim, progress, now_ms, ttl);
  }
  Status Move(const JobClaim& claim, const JobStanding& to, const JobProgress& progress,
              std::int64_t now_ms, bool crashed) override {
    RETURN_IF_ERROR(Refuse());
    return store_.Move(claim, to, progress, now_ms, crashed);
  }

  StatusOr<Job> Submit(const NewJob& job, std::int64_t now_ms) override {
    return store_.Submit(job, now_ms);
  }
  StatusOr<JobClaim> Claim(std::int64_t id, const std::string& holder, std::int64_t now_ms,
                           std::chrono::milliseconds ttl) override {
    return store_.Claim(id, holder, now_ms, ttl);
  }
  Status Explain(const Job& seen, const JobStanding& to, std::int64_t now_ms) override {
    return store_.Explain(seen, to, now_ms);
  }
  StatusOr<std::vector<Job>> ExplainAll(std::span<const Explanation> all,
                                        std::int64_t now_ms) override {
    return store_.ExplainAll(all, now_ms);
  }
  StatusOr<Job> Wish(std::int64_t id, JobWish wish, const std::string& who,
                     std::int64_t now_ms) override {
    return store_.Wish(id, wish, who, now_ms);
  }
  StatusOr<std::vector<Job>> Recover(const std::string& dead, std::int64_t now_ms) override {
    return store_.Recover(dead, now_ms);
  }
  Status SetTeller(std::int64_t id, const std::string& teller) override {
    return store_.SetTeller(id, teller);
  }
  StatusOr<std::vector<Job>> Jobs(const JobQuery& query) const override {
    return store_.Jobs(query);
  }
  StatusOr<Job> JobOf(std::int64_t id) const override { return store_.JobOf(id); }
  StatusOr<std::map<JobState, std::int64_t>> Counts() const override { return store_.Counts(); }
  StatusOr<std::vector<JobTransition>> Transitions(std::int64_t id) const override {
    return store_.Transitions(id);
  }
  StatusOr<std::vector<JobRun>> RunsSince(std::int64_t ms) const override {
    return store_.RunsSince(ms);
  }
  Status PutSeries(const JobSeries& series) override { return store_.PutSeries(series); }
  StatusOr<std::vector<JobSeries>> Series() const override { return store_.Series(); }
  Status EndSeries(const std::string& name) override { return store_.EndSeries(name); }
  StatusOr<std::int64_t> ForgetBefore(std::int64_t ms) override { return store_.ForgetBefore(ms); }

 private:
  Status Refuse() {
    refusals += !refusal.ok();
    return refusal;
  }

  JobStore& store_;
};

// 2026-11-27 12:00 UTC, a Friday, plus so many hours.
inline WallTime Noon(double hours = 0) {
  return FromUnixMs(1'795'780'800'000 + static_cast<std::int64_t>(hours * 3'600'000));
}

// A window every night from 22:00 to 06:00 UTC, "night"; leases of 30 s, 30 s of grace.
inline DaemonConfig NightConfig() {
  DaemonConfig config = *ParseDaemonConfig(
      "name = \"owl\"\nzone = \"UTC\"\n[farm]\ntracker = \"farm:1\"\nca = \"/ca\"\ncert = "
      "\"/c\"\nkey = \"/k\"\n"
      "[[window]]\nname = \"night\"\nfrom = \"22:00\"\nto = \"06:00\"\n",
      "night.toml");
  return config;
}

// A job of workloads alone, for such a target.
inline NewJob FakeJob(const std::string& uuid, const std::string& target = "rasp4b") {
  NewJob job;
  job.uuid = uuid;
  job.user = "ann";
  job.name = "job " + uuid;
  job.target = target;
  job.spec = ToJson(JobSpec{.networks = {{.network = "mobilenet_v1"}}, .target = target});
  return job;
}

}  // namespace kiln
