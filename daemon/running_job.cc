#include "daemon/running_job.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <type_traits>
#include <variant>

namespace kiln {

bool RunningJob::Observe(const TunerEvent& event) {
  std::visit(
      [this](const auto& e) {
        using Event = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<Event, TunerBegun>) facts = e;
        if constexpr (std::is_same_v<Event, TunerPhase>) confirming = e.confirming;
        if constexpr (std::is_same_v<Event, TunerWaiting>) waiting = e.text;
        if constexpr (std::is_same_v<Event, TunerTrial>) {
          made = e.made;
          improved += e.improved;
          waiting.clear();
        }
        if constexpr (std::is_same_v<Event, TunerEnded>) {
          word = e;
          made = e.made;
        }
      },
      event);
  const JobStanding now = StandingNow();
  if (now == job.standing) return false;
  job.standing = now;
  return true;
}

JobStanding RunningJob::StandingNow() const {
  if (!facts) {
    return {JobState::kRunning, JobReason::kStarting,
            waiting.empty() ? "its tuner is starting" : waiting};
  }
  if (confirming) {
    return {JobState::kFinishing, JobReason::kConfirming, "the best configs are measured again"};
  }
  if (!waiting.empty()) return {JobState::kRunning, JobReason::kTuning, waiting};
  return {JobState::kRunning, JobReason::kTuning,
          fmt::format("{} task{}", facts->tasks, facts->tasks == 1 ? "" : "s")};
}

JobProgress RunningJob::Progress(SteadyTime now) const {
  nlohmann::ordered_json text;
  if (facts) {
    text["tasks"] = facts->tasks;
    text["kind"] = facts->kind;
    text["stored"] = facts->stored + made;
    if (facts->expected) text["expected"] = *facts->expected;
    if (facts->peak_gops) text["peak_gops"] = *facts->peak_gops;
    text["improved"] = improved;
  }
  if (word) {
    nlohmann::ordered_json networks = nlohmann::ordered_json::array();
    for (const NetworkTimes& network : word->networks) {
      nlohmann::ordered_json each = {{"name", network.name}, {"tasks", network.tasks}};
      if (network.before_ns) each["before_ns"] = *network.before_ns;
      if (network.after_ns) each["after_ns"] = *network.after_ns;
      networks.push_back(std::move(each));
    }
    text["networks"] = std::move(networks);
    text["tasks_short"] = word->tasks_short;
  }
  using nlohmann::ordered_json;
  return {made, std::chrono::duration_cast<std::chrono::milliseconds>(now - begun).count(),
          text.is_null() ? "" : text.dump(-1, ' ', false, ordered_json::error_handler_t::replace)};
}

RunEnd RunningJob::End(const ProgramEnd& program) const {
  return {.word = word,
          .program = program,
          .limit = limit,
          .wish = wish,
          .shutting_down = shutting_down,
          .killed = killed,
          .trials = job.trials + made};
}

StatusOr<TunerOrder> OrderFor(const Job& job) {
  TunerOrder order;
  order.job = job.id;
  ASSIGN_OR_RETURN(order.spec, ParseJobSpec(job.job.spec));
  order.priority = job.job.priority;
  order.command = fmt::format("kiln daemon: job {} ({})", job.id, job.job.name);
  return order;
}

}  // namespace kiln
