// What the daemon's queue costs beside many trials (docs/store.md):
//   benchmark_job_store [JOBS TRIALS]
// Fills a database with that many trials and jobs, each with 3 runs and at least 10 transitions, a
// fifth of them unfinished, and prints how long each call of JobStore takes.

#include "db/job_store.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <vector>

#include "benchmarks/made_up_trials.h"

namespace {

using kiln::Check;
using kiln::Job;
using kiln::JobClaim;
using kiln::JobReason;
using kiln::JobStanding;
using kiln::JobState;
using kiln::JobStore;

constexpr std::chrono::hours kTtl{1};
constexpr std::int64_t kDayMs = 86'400'000;
constexpr int kRuns = 3;
constexpr int kUnfinishedOneIn = 5;
constexpr int kNewest = 200;
constexpr int kTimes = 100;

const JobStanding kTuning{JobState::kRunning, JobReason::kTuning, "12 of 31 tasks"};
const JobStanding kConfirming{JobState::kFinishing, JobReason::kConfirming, "31 tasks"};
const JobStanding kClosed{JobState::kPaused, JobReason::kWindow, "window night opens at 22:00"};
const JobStanding kTurn{JobState::kQueued, JobReason::kTurn, "3 others come first"};
const JobStanding kDone{JobState::kDone, JobReason::kComplete, "all 6000 trials are made"};

void AddTrials(const std::string& path, std::uint64_t trials) {
  constexpr std::uint64_t kOfATask = 2000;
  auto store = kiln::OpenSqliteStore(path, kiln::OpenMode::kReadWrite);
  Check(store.status());
  kiln::TemplateRegistry registry;
  kiln::RegisterBuiltinTemplates(registry);
  std::uint64_t added = 0;
  for (int number = 0; added < trials; ++number) {
    const kiln::Task task = kiln::TaskOf(registry, number);
    const auto batch = kiln::TrialsOf(task, std::min(kOfATask, trials - added));
    Check((*store)->Append(task, kiln::CacheState::kHot, batch));
    added += batch.size();
  }
}

// A night each, the last one last night.
void AddJob(JobStore& store, int number, int jobs, std::int64_t now_ms) {
  kiln::NewJob job;
  job.uuid = "job-" + std::to_string(number);
  job.user = number % 2 == 0 ? "ann" : "bob";
  job.name = "nightly";
  job.target = "rasp4b";
  job.window = "night";
  job.spec = R"({"networks":[{"network":"mobilenet_v1"}],"trials":6000})";
  const std::int64_t start_ms = now_ms - (jobs - number) * kDayMs / 3;
  const auto submitted = store.Submit(job, start_ms);
  Check(submitted.status());
  const bool is_unfinished = number % kUnfinishedOneIn == 0;
  for (int run = 1; run <= kRuns; ++run) {
    const auto claim = store.Claim(submitted->id, "owl/1", start_ms + run, kTtl);
    Check(claim.status());
    const kiln::JobProgress progress{2000, 3'600'000, R"({"tasks":12,"best":1.23})"};
    Check(store.Move(*claim, kTuning, progress, start_ms + run));
    const bool ends = run == kRuns && !is_unfinished;
    if (run == kRuns) Check(store.Move(*claim, kConfirming, progress, start_ms + run));
    Check(store.Move(*claim, ends ? kDone : kClosed, progress, start_ms + run));
  }
}

// Calls `work` with 0, 1, ... and prints how long that took.
void Time(const char* what, const std::function<void(int)>& work) {
  std::vector<double> ms;
  for (int i = 0; i < kTimes; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work(i);
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                     .count());
  }
  std::ranges::sort(ms);
  std::printf("%-28s median %8.3f ms, max %8.3f ms\n", what, ms[ms.size() / 2], ms.back());
}

std::vector<Job> Unfinished(const JobStore& store) {
  const auto jobs = store.Jobs(
      {.states = {JobState::kQueued, JobState::kRunning, JobState::kPaused, JobState::kFinishing},
       .limit = 1'000'000});
  Check(jobs.status());
  return *jobs;
}

void TimeReading(const JobStore& store, int jobs, std::int64_t now_ms) {
  std::printf("%zu of %d jobs are unfinished\n", Unfinished(store).size(), jobs);
  Time("Jobs, unfinished", [&](int) { Unfinished(store); });
  Time("Jobs, 200 newest", [&](int) { Check(store.Jobs({.limit = kNewest}).status()); });
  Time("Jobs, all", [&](int) { Check(store.Jobs({.limit = 1'000'000}).status()); });
  Time("JobOf", [&](int i) { Check(store.JobOf(1 + i).status()); });
  Time("Transitions", [&](int i) { Check(store.Transitions(1 + i).status()); });
  Time("RunsSince, a week ago", [&](int) { Check(store.RunsSince(now_ms - 7 * kDayMs).status()); });
  Time("RunsSince, ever", [&](int) { Check(store.RunsSince(0).status()); });
  Time("Counts", [&](int) { Check(store.Counts().status()); });
}

void TimeWriting(JobStore& store, std::int64_t now_ms) {
  const std::vector<Job> jobs = Unfinished(store);
  const auto at = [&](int i) { return static_cast<std::size_t>(i) % jobs.size(); };
  Time("Explain, another reason", [&](int i) {
    const auto job = store.JobOf(jobs[at(i)].id);
    Check(store.Explain(*job, job->standing == kTurn ? kClosed : kTurn, now_ms));
  });
  std::vector<JobClaim> claims;
  Time("Claim", [&](int i) {
    // Where there are few, one that was given back.
    if (claims.size() >= jobs.size()) Check(store.Move(claims[at(i)], kTurn, {}, now_ms));
    const auto claim = store.Claim(jobs[at(i)].id, "owl/2", now_ms, kTtl);
    Check(claim.status());
    claims.push_back(*claim);
  });
  const std::size_t first = claims.size() - std::min(claims.size(), jobs.size());
  const std::vector<JobClaim> held(claims.begin() + static_cast<std::ptrdiff_t>(first),
                                   claims.end());
  const auto claim = [&](int i) { return held[static_cast<std::size_t>(i) % held.size()]; };
  Time("Recover, nothing is lost", [&](int) { Check(store.Recover("", now_ms).status()); });
  Time("Beat", [&](int i) { Check(store.Beat(claim(i), {i, i, "{}"}, now_ms, kTtl).status()); });
  Time("Move, while it runs",
       [&](int i) { Check(store.Move(claim(i), i % 2 == 0 ? kTuning : kConfirming, {}, now_ms)); });
}

}  // namespace

int main(int argc, char** argv) {
  const int jobs = argc > 1 ? std::atoi(argv[1]) : 1000;
  const std::uint64_t trials = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000;
  std::string directory = (std::filesystem::temp_directory_path() / "kiln-jobs-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return 1;
  const std::string path = directory + "/tuning.db";
  AddTrials(path, trials);
  {
    auto store = kiln::OpenSqliteJobStore(path, kiln::OpenMode::kReadWrite);
    Check(store.status());
    constexpr std::int64_t kNowMs = 1'800'000'000'000;
    for (int number = 0; number < jobs; ++number) AddJob(**store, number, jobs, kNowMs);
    TimeReading(**store, jobs, kNowMs);
    TimeWriting(**store, kNowMs);
  }
  std::filesystem::remove_all(directory);
}
