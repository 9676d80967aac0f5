#include "daemon/job_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>

#include "daemon/agenda.h"
#include "daemon/forecast.h"
#include "daemon/job_spec.h"
#include "measure/figures.h"

namespace kiln {
namespace {

using Json = nlohmann::ordered_json;

Json ParseOr(const std::string& text, Json otherwise) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? std::move(otherwise) : std::move(json);
}

double Seconds(std::int64_t ms) { return 1e-3 * static_cast<double>(ms); }

// Trials that the job still has to make, as its tuner last said; before it has begun, at most those
// that it was given. nullopt: there is no telling.
std::optional<double> TrialsLeft(const Job& job) {
  const Json progress = ParseOr(job.progress, Json::object());
  std::int64_t expected = progress.value("expected", std::int64_t{-1});
  if (expected < 0) {
    const StatusOr<JobSpec> spec = ParseJobSpec(job.job.spec);
    if (!spec.ok() || !spec->trials) return std::nullopt;
    expected = *spec->trials;
  }
  return static_cast<double>(
      std::max<std::int64_t>(0, expected - progress.value("stored", std::int64_t{0})));
}

// Trials a second: of the job itself, else of the last runs of its target.
std::optional<double> PaceOf(const Job& job, const std::vector<JobRun>& runs) {
  constexpr std::int64_t kEnough = 8;
  if (job.trials >= kEnough && job.ran_ms > 0) {
    return static_cast<double>(job.trials) / Seconds(job.ran_ms);
  }
  std::int64_t trials = 0, ms = 0;
  for (const JobRun& run : runs) {
    if (run.target != job.job.target) continue;
    trials += run.trials;
    ms += run.ran_ms;
  }
  if (trials < kEnough || ms <= 0) return std::nullopt;
  return static_cast<double>(trials) / Seconds(ms);
}

// How long it still has to run; nullopt: there is no telling.
std::optional<double> SecondsLeft(const Job& job, const std::vector<JobRun>& runs) {
  std::optional<double> left;
  const auto trials = TrialsLeft(job);
  const auto pace = PaceOf(job, runs);
  if (trials && pace) left = *trials / *pace;
  const StatusOr<JobSpec> spec = ParseJobSpec(job.job.spec);
  if (!spec.ok() || !spec->seconds) return left;
  const double budget = std::max(0.0, static_cast<double>(*spec->seconds) - Seconds(job.ran_ms));
  return left ? std::min(*left, budget) : budget;
}

// As on the agenda, but for fair shares: nobody knows what others will have used by then.
std::tuple<std::int64_t, std::int64_t, std::int64_t> RankOf(const Job& job) {
  return {-static_cast<std::int64_t>(job.job.priority),
          job.job.deadline_ms.value_or(std::numeric_limits<std::int64_t>::max()), job.id};
}

Json Networks(const Json& progress) {
  Json networks = progress.value("networks", Json::array());
  for (Json& network : networks) {
    const double before = network.value("before_ns", 0.0), after = network.value("after_ns", 0.0);
    if (const auto gain = Gain(before, after)) network["gain"] = *gain;
  }
  return networks;
}

void AddHistory(Json& json, const JobView& view) {
  Json history = Json::array();
  for (const JobTransition& step : view.history) {
    history.push_back({{"at", FormatTime(step.at_ms)},
                       {"state", Name(step.to.state)},
                       {"reason", Name(step.to.reason)},
                       {"text", step.to.text},
                       {"by", step.who}});
  }
  json["history"] = std::move(history);
  Json runs = Json::array();
  for (const JobRun& run : view.runs) {
    Json each = {{"started", FormatTime(run.started_ms)},
                 {"seconds", Seconds(run.ran_ms)},
                 {"trials", run.trials},
                 {"holder", run.holder}};
    if (run.ended_ms) each["ended"] = FormatTime(*run.ended_ms);
    runs.push_back(std::move(each));
  }
  json["runs"] = std::move(runs);
}

}  // namespace

JobForecast ForecastOf(const Job& job, const std::vector<Job>& jobs,
                       const std::vector<JobRun>& runs, const DaemonConfig& config, WallTime now) {
  const std::optional<double> own = SecondsLeft(job, runs);
  std::optional<WallTime> deadline;
  if (job.job.deadline_ms) deadline = FromUnixMs(*job.job.deadline_ms);
  if (!own) {
    if (deadline) return {deadline, "its deadline ends it: it has no limit of trials"};
    return {std::nullopt, TrialsLeft(job)
                              ? "no trial of its target has been made yet that would tell the pace"
                              : "it has no limit of trials or time, or has not begun yet"};
  }
  double ahead = 0;
  std::size_t before = 0;
  for (const Job& other : jobs) {
    const bool same_lane = config.tracker.empty() || other.job.target == job.job.target;
    const bool earlier = IsHeld(other.standing.state) || RankOf(other) < RankOf(job);
    if (other.id == job.id || !same_lane || !earlier || IsHeld(job.standing.state)) continue;
    if (other.standing.reason == JobReason::kHeld) continue;
    ahead += SecondsLeft(other, runs).value_or(0);
    ++before;
  }
  // As many at a time as there is room for.
  if (!config.tracker.empty()) ahead /= std::max(1, config.jobs_per_target);
  const auto work = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(*own + ahead));
  const TimeWindow* window = WindowNamed(config, job.job.window);
  if (!job.job.window.empty() && window == nullptr) return {std::nullopt, "its window is gone"};
  std::optional<WallTime> done = WhenDone(work, window, now);
  std::string why = fmt::format("{} of running left",
                                FormatSpan(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                    std::chrono::duration<double>(*own))));
  if (before > 0) why += fmt::format(", after {} other job{}", before, before == 1 ? "" : "s");
  if (!done) why += "; its window is not open for so long within a year";
  if (deadline && (!done || *deadline < *done)) {
    done = deadline;
    why += "; its deadline ends it before";
  }
  return {done, std::move(why)};
}

void SortForPeople(std::vector<Job>& jobs) {
  std::ranges::sort(
      jobs, {}, [](const Job& job) { return std::pair(!IsHeld(job.standing.state), RankOf(job)); });
}

std::string JobJson(const JobView& view) {
  const Job& job = view.job;
  const Json progress = ParseOr(job.progress, Json::object());
  Json json = {{"id", job.id},
               {"name", job.job.name},
               {"user", job.job.user},
               {"state", Name(job.standing.state)},
               {"reason", Name(job.standing.reason)},
               {"text", job.standing.text},
               {"since", FormatTime(job.since_ms)},
               {"target", job.job.target},
               {"priority", job.job.priority},
               {"submitted", FormatTime(job.submitted_ms)},
               {"trials", job.trials},
               {"ran_seconds", Seconds(job.ran_ms)},
               {"uuid", job.job.uuid},
               {"spec", ParseOr(job.job.spec, Json::object())}};
  if (!job.job.window.empty()) json["window"] = job.job.window;
  if (job.job.deadline_ms) json["deadline"] = FormatTime(*job.job.deadline_ms);
  if (!job.job.after.empty()) json["after"] = job.job.after;
  if (!job.job.series.empty()) json["series"] = job.job.series;
  if (!job.job.occurrence.empty()) json["occurrence"] = job.job.occurrence;
  if (!job.holder.empty()) json["holder"] = job.holder;
  if (job.wish != JobWish::kNone) json["wish"] = Name(job.wish);
  if (job.crashes > 0) json["crashes"] = job.crashes;
  if (progress.contains("stored")) json["stored"] = progress["stored"];
  if (progress.contains("expected")) json["expected"] = progress["expected"];
  if (progress.contains("networks")) json["networks"] = Networks(progress);
  if (view.forecast) {
    if (view.forecast->done) json["done_by"] = FormatTime(ToUnixMs(*view.forecast->done));
    json["forecast"] = view.forecast->why;
  }
  if (!view.history.empty()) AddHistory(json, view);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kiln
