#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "daemon/tuner_messages.h"
#include "toolchain/artifact_cache.h"

namespace kiln {

// This is what the tuner of a job says to the daemon: events, a frame each, on a socket. How long
// things took and what the object cache had is collected and said about once a second, when
// something else happens. Thread-safe.
class TunerVoice {
 public:
  // `unheard` is called once, when nobody reads any more, on the thread that spoke.
  TunerVoice(int socket, const Clock& clock, std::function<void()> unheard);
  TunerVoice(const TunerVoice&) = delete;

  void Tell(const TunerEvent& event);
  void Took(const std::string& stage, Nanoseconds time);
  void Looked(CacheLookup lookup);
  // What is waited for; empty: nothing any more. Is said where it is new.
  void Waits(const std::string& text);
  // The last words, after all that was collected.
  void End(const TunerEnded& ended);

  bool is_heard() const;

 private:
  void TellNow(const TunerEvent& event);  // the lock is held, as by those below
  void TellCollectedIfDue();
  void TellCollected();

  const int socket_;
  const Clock& clock_;
  const std::function<void()> unheard_;
  mutable std::mutex mutex_;  // guards what follows, and the socket
  bool is_heard_ = true;
  SteadyTime last_ = {};                                // that something collected was said
  std::map<std::string, std::vector<double>> seconds_;  // by stage
  TunerCache cache_;
  std::string waits_;
};

}  // namespace kiln
