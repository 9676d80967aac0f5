#include "apps/kiln/top_sources.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "apps/kiln/top_store.h"
#include "base/clock.h"
#include "daemon/daemon_config.h"
#include "daemon/job_view.h"
#include "dashboard/words.h"
#include "db/job_store.h"
#include "rpc_client/tracker_client.h"

namespace kiln {
namespace {

// Whoever ends `kiln top` waits for what is being asked, so nobody is waited for long.
constexpr std::chrono::milliseconds kPatience{1500};
constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kMostJobs = 400;     // that are listed
constexpr std::int64_t kAllJobs = 100'000;  // more than a queue takes
constexpr std::size_t kMostForecasts = 8;   // each is a call of its own

// ---- jobs, in the words of JobJson()

// Unix time of an RFC 3339 text; nullopt: it is none.
std::optional<std::int64_t> ReadTime(const std::string& text) {
  absl::Time time;
  std::string ignored;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &ignored)) return std::nullopt;
  return absl::ToUnixMillis(time);
}

// Until the time of an RFC 3339 text, which is to come; unset: it is none.
std::optional<std::int64_t> TimeUntil(const std::string& text, std::int64_t now_ms) {
  const std::optional<std::int64_t> then = ReadTime(text);
  if (!then) return std::nullopt;
  return std::max<std::int64_t>(0, *then - now_ms);
}

QueueFacts::Job RowOf(const JobObject& job, std::int64_t now_ms) {
  return {.id = job.value("id", std::int64_t{0}),
          .trials = job.value("stored", job.value("trials", std::int64_t{0})),
          .state = TextOf(job, "state"),
          .name = TextOf(job, "name"),
          .user = TextOf(job, "user"),
          .target = TextOf(job, "target"),
          .why = TextOf(job, "text"),
          .progress = ProgressOf(job),
          .left_ms = TimeUntil(TextOf(job, "done_by"), now_ms)};
}

// What it was good for: the networks' times, or why there are none.
QueueFacts::EndedJob EndOf(const JobObject& job) {
  std::string what;
  for (const JobObject& network : job.value("networks", JobObject::array())) {
    if (!network.contains("gain")) continue;
    what += (what.empty() ? "" : "; ") + TextOf(network, "name") + " " +
            MillisecondsText(network.value("before_ns", 0.0)) + " -> " +
            MillisecondsText(network.value("after_ns", 0.0)) + " ms, " +
            GainText(network.value("gain", 0.0));
  }
  const bool failed = TextOf(job, "state") == Name(JobState::kFailed);
  if (failed || what.empty()) what = TextOf(job, "text");
  return {.text = TextOf(job, "state") + ": " + TextOf(job, "name") + " (" + TextOf(job, "user") +
                  "): " + what,
          .failed = failed};
}

bool IsOfTheLastDay(const JobObject& job, std::int64_t now_ms) {
  return TextOf(job, "since") >= FormatTime(now_ms - kDayMs);  // RFC 3339 sorts as time does
}

// Jobs of any state, in the order in which they are to be shown.
void AddJobs(const std::vector<JobObject>& jobs, std::int64_t now_ms, QueueFacts& queue) {
  for (const JobObject& job : jobs) {
    const StatusOr<JobState> state = JobStateNamed(TextOf(job, "state"));
    if (!state.ok() || !IsFinal(*state)) {
      queue.jobs.push_back(RowOf(job, now_ms));
    } else if ((*state == JobState::kDone || *state == JobState::kFailed) &&
               IsOfTheLastDay(job, now_ms)) {
      queue.ended.push_back(EndOf(job));
    }
  }
}

StatusOr<QueueFacts> AskDaemon(DaemonClient& client, std::int64_t now_ms) {
  ASSIGN_OR_RETURN(const JobList list, client.List({.ended = true, .limit = kMostJobs}));
  const JobObject daemon = ParseJob(list.daemon);
  // Its clock is what its times are by.
  const std::int64_t its_now_ms = ReadTime(TextOf(daemon, "time")).value_or(now_ms);
  std::vector<JobObject> jobs;
  for (const std::string& text : list.jobs) {
    JobObject job = ParseJob(text);
    const StatusOr<JobState> state = JobStateNamed(TextOf(job, "state"));
    if (jobs.size() < kMostForecasts && state.ok() && !IsFinal(*state)) {
      // The list has no forecasts. A job that is gone meanwhile is shown as it was.
      const StatusOr<std::string> whole = client.Show(job.value("id", std::int64_t{0}));
      if (whole.ok()) job = ParseJob(*whole);
    }
    jobs.push_back(std::move(job));
  }
  QueueFacts queue;
  AddJobs(jobs, its_now_ms, queue);
  for (const JobObject& window : daemon.value("windows", JobObject::array())) {
    queue.windows.push_back(TextOf(window, "name") + ": " + TextOf(window, "text"));
  }
  for (const char* trouble : {"trouble", "maintenance"}) {
    if (std::string text = TextOf(daemon, trouble); !text.empty()) {
      queue.troubles.push_back(std::move(text));
    }
  }
  queue.left_off = daemon.value("left_off", std::int64_t{0});
  return queue;
}

// As the daemon would show it. Windows are in its configuration alone: when a job that waits will be
// done is not known here.
StatusOr<JobView> ViewOf(const Job& job, const std::vector<Job>& jobs,
                         const std::vector<JobRun>& runs, std::int64_t now_ms) {
  JobView view{job};
  if (!IsHeld(job.standing.state)) return view;
  ASSIGN_OR_RETURN(const TimeZone zone, TimeZone::Named("UTC"));
  Job anytime = job;
  anytime.job.window.clear();
  view.forecast = ForecastOf(anytime, jobs, runs, DaemonConfig{.zone = zone}, FromUnixMs(now_ms));
  return view;
}

// What stands in the database, whoever wrote it.
StatusOr<QueueFacts> ReadQueue(const std::string& database, std::int64_t now_ms) {
  ASSIGN_OR_RETURN(const std::unique_ptr<JobStore> store,
                   OpenSqliteJobStore(database, OpenMode::kReadOnly, kPatience));
  ASSIGN_OR_RETURN(std::vector<Job> jobs,
                   store->Jobs({.states = {JobState::kQueued, JobState::kRunning, JobState::kPaused,
                                           JobState::kFinishing},
                                .limit = kAllJobs}));
  SortForPeople(jobs);
  const std::size_t listed = std::min<std::size_t>(jobs.size(), kMostJobs);
  QueueFacts queue{.left_off = std::ssize(jobs) - static_cast<std::int64_t>(listed)};
  jobs.resize(listed);
  ASSIGN_OR_RETURN(const std::vector<JobRun> runs, store->RunsSince(now_ms - kDayMs));
  std::vector<JobObject> shown;
  for (const Job& job : jobs) {
    ASSIGN_OR_RETURN(const JobView view, ViewOf(job, jobs, runs, now_ms));
    shown.push_back(ParseJob(JobJson(view)));
  }
  ASSIGN_OR_RETURN(
      const std::vector<Job> ended,
      store->Jobs({.states = {JobState::kDone, JobState::kFailed}, .limit = kMostJobs}));
  for (const Job& job : ended) shown.push_back(ParseJob(JobJson({job})));
  AddJobs(shown, now_ms, queue);
  return queue;
}

// ---- questions

// Asks `ask` and enters what it says as this member of the facts.
template <typename T, typename Ask>
TopQuestion Question(std::optional<Heard<T>> TopFacts::*place, Ask ask) {
  return [place, ask](std::int64_t now_ms) -> TopAnswer {
    auto answer = std::make_shared<StatusOr<T>>(ask(now_ms));
    return [place, answer, now_ms](TopFacts& facts) {
      if (!(facts.*place)) (facts.*place).emplace();
      (facts.*place)->Hear(std::move(*answer), now_ms);
    };
  };
}

template <typename T>
Heard<T> NotYet(const std::string& place) {
  return {.trouble = Error(StatusCode::kUnavailable, "asking ", place, " for the first time ...")};
}

}  // namespace

std::vector<TopQuestion> QuestionsFor(const TopSources& sources) {
  std::vector<TopQuestion> questions;
  if (sources.tracker) {
    const std::shared_ptr<TrackerClient> client = NewTrackerClient(*sources.tracker);
    questions.push_back(Question(&TopFacts::farm, [client](std::int64_t) -> StatusOr<FarmInfo> {
      RETURN_IF_ERROR(client->Connect(kPatience));
      return client->List(kPatience);
    }));
  }
  if (sources.daemon) {
    const std::shared_ptr<DaemonClient> client =
        ClientOf(*sources.daemon, {.connect = kPatience, .answer = kPatience});
    questions.push_back(Question(
        &TopFacts::queue, [client](std::int64_t now_ms) { return AskDaemon(*client, now_ms); }));
  } else if (!sources.database.empty()) {
    questions.push_back(Question(&TopFacts::queue, [path = sources.database](std::int64_t now_ms) {
      return ReadQueue(path, now_ms);
    }));
  }
  if (!sources.database.empty()) {
    questions.push_back(Question(&TopFacts::store, [path = sources.database](std::int64_t now_ms) {
      return ReadStoreFacts(path, now_ms);
    }));
  }
  return questions;
}

TopFacts FactsBefore(const TopSources& sources) {
  TopFacts facts;
  if (sources.tracker) facts.farm = NotYet<FarmInfo>(sources.tracker->address);
  if (sources.daemon) facts.queue = NotYet<QueueFacts>(sources.daemon->address);
  if (sources.database.empty()) return facts;
  if (!facts.queue) facts.queue = NotYet<QueueFacts>(sources.database);
  facts.store = NotYet<StoreFacts>(sources.database);
  return facts;
}

}  // namespace kiln
