#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "apps/kiln/top_sources.h"
#include "base/clock.h"

namespace kiln {

// This asks each place again and again, on a thread of its own, so that one that is silent keeps no
// other waiting. Between two questions it rests twenty times as long as the answer took: looking
// must not take the machine from those who measure.
class TopWatch {
 public:
  // Borrows the clock.
  TopWatch(TopFacts before, std::vector<TopQuestion> questions, const Clock& clock);
  // Waits for what is being asked.
  ~TopWatch();
  TopWatch(const TopWatch&) = delete;

  TopFacts Facts() const;  // all that is known now
  void AskNow();

 private:
  void Run(const TopQuestion& question);

  const Clock& clock_;
  const std::vector<TopQuestion> questions_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  TopFacts facts_;           // this and what follows: mutex_
  std::int64_t wishes_ = 0;  // how often somebody wanted it at once
  bool ended_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace kiln
