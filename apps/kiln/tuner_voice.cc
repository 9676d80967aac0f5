#include "apps/kiln/tuner_voice.h"

#include <utility>

#include "base/frame.h"

namespace kiln {
namespace {

constexpr std::chrono::seconds kPause{1};  // between collections

}  // namespace

TunerVoice::TunerVoice(int socket, const Clock& clock, std::function<void()> unheard)
    : socket_(socket), clock_(clock), unheard_(std::move(unheard)), last_(clock.Now()) {}

void TunerVoice::Tell(const TunerEvent& event) {
  const std::lock_guard lock(mutex_);
  TellNow(event);
  TellCollectedIfDue();
}

void TunerVoice::Took(const std::string& stage, Nanoseconds time) {
  const std::lock_guard lock(mutex_);
  seconds_[stage].push_back(std::chrono::duration<double>(time).count());
  TellCollectedIfDue();
}

void TunerVoice::Looked(CacheLookup lookup) {
  const std::lock_guard lock(mutex_);
  ++(lookup == CacheLookup::kHit ? cache_.hits : cache_.misses);
  TellCollectedIfDue();
}

void TunerVoice::Waits(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (text == waits_) return;
  waits_ = text;
  TellNow(TunerWaiting{text});
}

void TunerVoice::End(const TunerEnded& ended) {
  const std::lock_guard lock(mutex_);
  TellCollected();
  TellNow(ended);
}

bool TunerVoice::is_heard() const {
  const std::lock_guard lock(mutex_);
  return is_heard_;
}

void TunerVoice::TellNow(const TunerEvent& event) {
  if (!is_heard_ || WriteFrame(socket_, ToJson(event))) return;
  is_heard_ = false;
  unheard_();
}

void TunerVoice::TellCollectedIfDue() {
  if (clock_.Now() - last_ >= kPause) TellCollected();
}

void TunerVoice::TellCollected() {
  last_ = clock_.Now();
  for (auto& [stage, seconds] : std::exchange(seconds_, {})) {
    TellNow(TunerTimings{stage, std::move(seconds)});
  }
  const TunerCache cache = std::exchange(cache_, {});
  if (cache.hits + cache.misses > 0) TellNow(cache);
}

}  // namespace kiln
