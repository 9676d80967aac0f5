#include <algorithm>
#include <array>
#include <utility>

#include "db/job_store.h"

namespace kiln {
namespace {

template <typename Value, std::size_t size>
using Words = std::array<std::pair<Value, std::string_view>, size>;

constexpr Words<JobState, kJobStates> kStates{{
    {JobState::kQueued, "queued"},
    {JobState::kRunning, "running"},
    {JobState::kPaused, "paused"},
    {JobState::kFinishing, "finishing"},
    {JobState::kDone, "done"},
    {JobState::kFailed, "failed"},
    {JobState::kCancelled, "cancelled"},
    {JobState::kExpired, "expired"},
}};

constexpr Words<JobReason, 18> kReasons{{
    {JobReason::kTurn, "turn"},
    {JobReason::kWindow, "window"},
    {JobReason::kDevice, "device"},
    {JobReason::kDependency, "dependency"},
    {JobReason::kQuota, "quota"},
    {JobReason::kHeld, "held"},
    {JobReason::kRecovered, "recovered"},
    {JobReason::kStore, "store"},
    {JobReason::kStarting, "starting"},
    {JobReason::kTuning, "tuning"},
    {JobReason::kConfirming, "confirming"},
    {JobReason::kComplete, "complete"},
    {JobReason::kDeadline, "deadline"},
    {JobReason::kUser, "user"},
    {JobReason::kPoison, "poison"},
    {JobReason::kModel, "model"},
    {JobReason::kTarget, "target"},
    {JobReason::kError, "error"},
}};

constexpr Words<JobWish, 4> kWishes{{
    {JobWish::kNone, "none"},
    {JobWish::kPause, "pause"},
    {JobWish::kCancel, "cancel"},
    {JobWish::kCancelNow, "cancel-now"},
}};

template <typename Value, std::size_t size>
std::string_view WordOf(const Words<Value, size>& words, Value value) {
  return std::ranges::find(words, value, &std::pair<Value, std::string_view>::first)->second;
}

template <typename Value, std::size_t size>
StatusOr<Value> ValueOf(const Words<Value, size>& words, std::string_view word, const char* what) {
  const auto found = std::ranges::find(words, word, &std::pair<Value, std::string_view>::second);
  if (found != words.end()) return found->first;
  return Error(StatusCode::kInvalidArgument, "`", word, "` is no ", what, " of a job");
}

}  // namespace

std::string_view Name(JobState state) { return WordOf(kStates, state); }
std::string_view Name(JobReason reason) { return WordOf(kReasons, reason); }
std::string_view Name(JobWish wish) { return WordOf(kWishes, wish); }
StatusOr<JobState> JobStateNamed(std::string_view name) { return ValueOf(kStates, name, "state"); }
StatusOr<JobReason> JobReasonNamed(std::string_view name) {
  return ValueOf(kReasons, name, "reason");
}
StatusOr<JobWish> JobWishNamed(std::string_view name) { return ValueOf(kWishes, name, "wish"); }

bool IsFinal(JobState state) {
  return state == JobState::kDone || state == JobState::kFailed || state == JobState::kCancelled ||
         state == JobState::kExpired;
}
bool IsHeld(JobState state) { return state == JobState::kRunning || state == JobState::kFinishing; }

}  // namespace kiln
