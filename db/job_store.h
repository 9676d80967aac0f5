#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "db/tuning_store.h"

namespace kiln {

//            Claim                       Move                   Move
//   queued --------> running ------------------------> finishing ----> done, failed, cancelled, expired
//      ^               |  ^                                |
//      |     Move      v  | Claim                          |
//      +----------- paused                                 |
//      +---------------------------------------------------+   a holder that is lost: queued(recovered)
//
// What waits (queued, paused) has no holder and may be claimed, but for what a person paused; what
// runs (running, finishing) has one; the other four are final.
enum class JobState : std::uint8_t {
  kQueued,
  kRunning,
  kPaused,
  kFinishing,
  kDone,
  kFailed,
  kCancelled,
  kExpired,
};
inline constexpr int kJobStates = 8;
std::string_view Name(JobState state);  // "queued"
StatusOr<JobState> JobStateNamed(std::string_view name);
bool IsFinal(JobState state);
bool IsHeld(JobState state);  // running, finishing

// Why a job is in its state, for programs; its text says it for people, with what to do.
enum class JobReason : std::uint8_t {
  // Waiting.
  kTurn,        // others come first
  kWindow,      // its window is closed
  kDevice,      // no device of its target can be had
  kDependency,  // a job that it comes after is not done
  kQuota,       // its user has as many running as one may
  kHeld,        // a person paused it
  kRecovered,   // whoever ran it was lost
  kStore,       // the database takes no more
  // Running, finishing.
  kStarting,
  kTuning,
  kConfirming,
  // Final.
  kComplete,  // done: its budget is used up, or there is nothing more to try
  kDeadline,  // done, if it ran before its deadline; else expired
  kUser,      // cancelled
  kPoison,    // failed: it took its daemon or its tuner down again and again
  kModel,     // failed, as those below: a model is gone, has changed, or cannot be read
  kTarget,    // nobody knows its target
  kError,     // anything else, in words
};
std::string_view Name(JobReason reason);  // "window"
StatusOr<JobReason> JobReasonNamed(std::string_view name);

struct JobStanding {
  JobState state = JobState::kQueued;
  JobReason reason = JobReason::kTurn;
  std::string text;  // one line
  bool operator==(const JobStanding&) const = default;
};

// What a person asked of a job that somebody holds; its holder is to see to it.
enum class JobWish : std::uint8_t { kNone, kPause, kCancel, kCancelNow };
std::string_view Name(JobWish wish);  // "cancel-now"
StatusOr<JobWish> JobWishNamed(std::string_view name);

// What is submitted. It is the intent, and never changes.
struct NewJob {
  std::string uuid;  // of the client's making: the same one again is the same job
  std::string user, name;
  std::string target;                       // as the spec names it
  std::string window;                       // by name; empty: at any time
  std::int32_t priority = 0;                // higher first
  std::optional<std::int64_t> deadline_ms;  // Unix time, as all ..._ms here
  std::vector<std::int64_t> after;          // ids of jobs that must be done first
  std::string spec;                         // JSON: daemon/job_spec.h
  // Of a job that comes again: the series, and the local date of its window's start
  // ("2026-11-27"). A series has each date once.
  std::string series, occurrence;
  bool operator==(const NewJob&) const = default;
};

struct Job {
  std::int64_t id = 0;  // from 1, in order of arrival
  NewJob job;
  std::int64_t submitted_ms = 0;
  JobStanding standing;
  std::int64_t since_ms = 0;  // of its state and reason
  JobWish wish = JobWish::kNone;
  std::string holder;         // empty: nobody
  std::int64_t epoch = 0;     // of the last claim; 0: never claimed
  std::int64_t lease_ms = 0;  // of the last claim: how long it lasts from each sign of life
  std::int64_t lease_until_ms = 0;
  std::int32_t crashes = 0;  // in a row: runs that ended without a word, and no new trial since
  std::int64_t trials = 0;   // made in all its runs
  std::int64_t ran_ms = 0;   // in all its runs
  std::string progress;      // JSON object, what its holder last said; empty: nothing yet
  std::string teller;        // the daemon that still has to tell of its end; empty: nobody has to
  bool operator==(const Job&) const = default;
};

// The right to run a job, from Claim() until it is given back or lost.
struct JobClaim {
  std::int64_t id = 0, epoch = 0;
};

// What its holder tells of a job. Of this run, so far.
struct JobProgress {
  std::int64_t trials = 0;
  std::int64_t ran_ms = 0;
  std::string text;  // JSON object
};

// A change of state or reason; other words alone are none.
struct JobTransition {
  std::int64_t job = 0, at_ms = 0, epoch = 0;
  JobStanding to;
  std::string who;  // the user or the holder that did it; empty: time
  bool operator==(const JobTransition&) const = default;
};

// From a claim to its end: the hours that were used.
struct JobRun {
  std::int64_t job = 0, epoch = 0, started_ms = 0;
  std::optional<std::int64_t> ended_ms;  // not yet
  std::string user, target, holder;
  std::int64_t trials = 0, ran_ms = 0;
  bool operator==(const JobRun&) const = default;
};

// A job that comes again with each of its window's nights.
struct JobSeries {
  std::string name;      // unique
  NewJob job;            // `window` is set; uuid, series, occurrence, deadline_ms, after are not
  std::string deadline;  // of each: "06:00", local; empty: none
  std::int64_t created_ms = 0;
  bool operator==(const JobSeries&) const = default;
};

struct JobQuery {
  std::vector<JobState> states = {};  // any of these; empty: all
  std::optional<std::string> user = {}, series = {}, uuid = {}, teller = {};
  std::int64_t limit = 1000;  // the newest of them
};

// This is the queue of jobs, beside the trials. The job is the intent, trials are the progress:
// whoever claims it again goes on with what is stored. Several daemons may share one database: a
// claim is one short transaction, which raises the job's epoch; whatever a holder writes later says
// which epoch it holds, and is refused with kAborted once that is over, so that a job never has two
// holders whose word counts. Thread-safe. Errors as TuningStore; kNotFound: no such job.
class JobStore {
 public:
  virtual ~JobStore() = default;

  // kAlreadyExists: another job has this uuid, or this occurrence. kNotFound: one of `after` is not
  // there. The same job again returns the one that is there.
  virtual StatusOr<Job> Submit(const NewJob& job, std::int64_t now_ms) = 0;

  // running(starting), for `ttl` from now. kFailedPrecondition, with words: it is not waiting, or is
  // held by a person. kInvalidArgument: the holder has no name.
  virtual StatusOr<JobClaim> Claim(std::int64_t id, const std::string& holder, std::int64_t now_ms,
                                   std::chrono::milliseconds ttl) = 0;

  // The holder is alive; returns what is wished of it. New trials forgive what crashed before them.
  // kAborted: the claim is over.
  virtual StatusOr<JobWish> Beat(const JobClaim& claim, const JobProgress& progress,
                                 std::int64_t now_ms, std::chrono::milliseconds ttl) = 0;

  // The holder moves the job. To what is not held, the claim is given back: its run is closed, and
  // the crashes in a row are over unless it `crashed`. A crash is its tuner's; the third in a row
  // without a new trial is failed(poison) (kMostCrashes), unless it is to be cancelled. To what
  // waits, the wish as it is now decides, of which the holder need not have heard: cancelled(user),
  // or paused(held), which without a wish to pause is queued(turn). kAborted: the claim is over,
  // nothing was written.
  virtual Status Move(const JobClaim& claim, const JobStanding& to, const JobProgress& progress,
                      std::int64_t now_ms, bool crashed = false) = 0;

  // Says why a job waits, or ends it. `seen` is the job as it was read: kAborted, and nothing is
  // written, if it has been claimed, moved or wished otherwise since. Nothing is written either where
  // nothing changes.
  virtual Status Explain(const Job& seen, const JobStanding& to, std::int64_t now_ms) = 0;
  // The same of many, in one transaction; those that have changed since they were seen are left
  // alone. Returns those whose state is another one now.
  struct Explanation {
    Job seen;
    JobStanding to;
  };
  virtual StatusOr<std::vector<Job>> ExplainAll(std::span<const Explanation> explanations,
                                                std::int64_t now_ms) = 0;

  // What a person asks: a job that nobody holds is moved at once (cancelled(user), paused(held)),
  // one that is held keeps the wish for its holder, a stronger one in place of a weaker one.
  // kFailedPrecondition: it has ended, or, for kNone (resume), nothing was paused. Resuming also
  // takes a wish to pause back.
  virtual StatusOr<Job> Wish(std::int64_t id, JobWish wish, const std::string& who,
                             std::int64_t now_ms) = 0;

  // Takes jobs back from holders that are lost: whose lease is over, or has more than twice its
  // length to go, which only a clock that was set back can make; and from all whose name is `dead`,
  // or begins with it and a slash. Each becomes queued(recovered), or what Move() would make of it
  // after a crash. Returns them as they are now.
  virtual StatusOr<std::vector<Job>> Recover(const std::string& dead, std::int64_t now_ms) = 0;

  // Notes which daemon has still to tell of the job's end; empty: nobody has to. No change of its
  // state, whatever that is.
  virtual Status SetTeller(std::int64_t id, const std::string& teller) = 0;

  virtual StatusOr<std::vector<Job>> Jobs(const JobQuery& query) const = 0;  // newest first
  virtual StatusOr<Job> JobOf(std::int64_t id) const = 0;
  virtual StatusOr<std::map<JobState, std::int64_t>> Counts() const = 0;
  virtual StatusOr<std::vector<JobTransition>> Transitions(std::int64_t id) const = 0;
  // Those that had not ended by then, by their beginning, then by job and epoch.
  virtual StatusOr<std::vector<JobRun>> RunsSince(std::int64_t ms) const = 0;

  // Makes or replaces a series; jobs of it that are there already stay. kInvalidArgument: it is none.
  virtual Status PutSeries(const JobSeries& series) = 0;
  virtual StatusOr<std::vector<JobSeries>> Series() const = 0;  // by name
  virtual Status EndSeries(const std::string& name) = 0;        // kNotFound

  // Forgets jobs that ended before then, with their transitions and runs; never their trials, and
  // never what an unfinished job comes after.
  virtual StatusOr<std::int64_t> ForgetBefore(std::int64_t ms) = 0;
};

inline constexpr std::int32_t kMostCrashes = 3;

std::unique_ptr<JobStore> NewMemoryJobStore();

// In the tables beside the trials; opens and migrates as OpenSqliteStore does. `patience`: how long a
// call waits for a lock of another program before it is kUnavailable.
StatusOr<std::unique_ptr<JobStore>> OpenSqliteJobStore(
    const std::string& path, OpenMode mode,
    std::chrono::milliseconds patience = std::chrono::seconds(10));

}  // namespace kiln
