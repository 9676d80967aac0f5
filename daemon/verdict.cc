#include "daemon/verdict.h"

#include <fmt/format.h>

#include "daemon/agenda.h"

namespace kiln {
namespace {

// A database that takes no more is asked again so much later.
constexpr std::chrono::minutes kStoreRest{5};
// A tuner that has kept time for confirming ends before its window does. What is shorter is not worth
// another run.
constexpr std::chrono::minutes kNearEnd{2};

RunVerdict ByTrouble(const TunerEnded& word, WallTime now) {
  switch (word.trouble) {
    case TunerTrouble::kModel:
      return {{JobState::kFailed, JobReason::kModel, word.text}};
    case TunerTrouble::kTarget:
      return {{JobState::kFailed, JobReason::kTarget, word.text}};
    case TunerTrouble::kStore:  // like a device that is away: it may be mended while we wait
      return {.to = {JobState::kQueued, JobReason::kStore, word.text},
              .rest_until = now + kStoreRest};
    case TunerTrouble::kDevice:
      return {.to = {JobState::kQueued, JobReason::kDevice, word.text}, .is_device_trouble = true};
    case TunerTrouble::kNone:
    case TunerTrouble::kError:
      break;
  }
  return {{JobState::kFailed, JobReason::kError, word.text}};
}

JobStanding AtDeadline(const RunEnd& end, const std::string& text) {
  if (end.trials > 0) {
    return {
        JobState::kDone, JobReason::kDeadline,
        text.empty() ? fmt::format("its deadline ended it; {} trials are kept", end.trials) : text};
  }
  return {JobState::kExpired, JobReason::kDeadline,
          "its deadline came before it had made a trial: submit it again with a later one"};
}

// It was stopped, or its time was up.
RunVerdict Unfinished(const RunEnd& end, const Job& job, const DaemonConfig& config, WallTime now) {
  const bool out_of_time = end.word && end.word->outcome == TunerOutcome::kTime;
  const std::string text = end.word ? end.word->text : std::string();
  const bool overdue = job.job.deadline_ms && FromUnixMs(*job.job.deadline_ms) <= now;
  if (overdue || (out_of_time && end.limit == TimeLimit::kDeadline)) {
    return {AtDeadline(end, text)};
  }
  if (out_of_time && end.limit == TimeLimit::kBudget) {
    return {{JobState::kDone, JobReason::kComplete, text}};
  }
  const TimeWindow* window = WindowNamed(config, job.job.window);
  const bool open = job.job.window.empty() || (window != nullptr && window->IsOpen(now));
  if (!open) {
    return {{JobState::kPaused, JobReason::kWindow,
             window != nullptr ? "window " + job.job.window + " " + window->DescribeChange(now)
                               : "its window is no longer in the daemon's configuration"}};
  }
  if (end.shutting_down) {
    return {
        {JobState::kQueued, JobReason::kTurn, "its daemon was ended; it goes on when one runs"}};
  }
  if (out_of_time && window != nullptr) {
    if (const auto change = window->NextChange(now); change && *change - now < kNearEnd) {
      return {.to = {JobState::kPaused, JobReason::kWindow,
                     "window " + job.job.window + " closes in a moment"},
              .rest_until = *change};
    }
  }
  return {{JobState::kQueued, JobReason::kTurn, "it goes on when its turn comes"}};
}

}  // namespace

RunVerdict JudgeRun(const RunEnd& end, const Job& job, const DaemonConfig& config, WallTime now) {
  if (end.word && end.word->outcome == TunerOutcome::kComplete) {
    return {{JobState::kDone, JobReason::kComplete, end.word->text}};
  }
  if (end.wish == JobWish::kCancel || end.wish == JobWish::kCancelNow) {
    return {{JobState::kCancelled, JobReason::kUser,
             fmt::format("cancelled; its {} trials are kept", end.trials)}};
  }
  if (end.wish == JobWish::kPause) {
    return {{JobState::kPaused, JobReason::kHeld,
             fmt::format("paused by hand: `kiln resume {}` lets it go on", job.id)}};
  }
  if (!end.word && !end.killed) {
    return {.to = {JobState::kQueued, JobReason::kRecovered,
                   fmt::format("its tuner died: {}{}{}; it is tried again", end.program.how,
                               end.program.last_line.empty() ? "" : ": ", end.program.last_line)},
            .crashed = true};
  }
  if (end.word && end.word->outcome == TunerOutcome::kError) return ByTrouble(*end.word, now);
  return Unfinished(end, job, config, now);
}

}  // namespace kiln
