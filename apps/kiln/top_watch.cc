#include "apps/kiln/top_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace kiln {
namespace {

constexpr std::chrono::nanoseconds kLeastRest = std::chrono::seconds(1);
constexpr std::chrono::nanoseconds kMostRest = std::chrono::seconds(5);
constexpr int kRestPerWork = 20;

}  // namespace

TopWatch::TopWatch(TopFacts before, std::vector<TopQuestion> questions, const Clock& clock)
    : clock_(clock), questions_(std::move(questions)), facts_(std::move(before)) {
  for (const TopQuestion& question : questions_) {
    threads_.emplace_back([this, &question] { Run(question); });
  }
}

TopWatch::~TopWatch() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
}

TopFacts TopWatch::Facts() const {
  const std::lock_guard lock(mutex_);
  TopFacts facts = facts_;
  facts.at_ms = ToUnixMs(clock_.Today());
  return facts;
}

void TopWatch::AskNow() {
  {
    const std::lock_guard lock(mutex_);
    ++wishes_;
  }
  changed_.notify_all();
}

void TopWatch::Run(const TopQuestion& question) {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    const std::int64_t wishes = wishes_;
    lock.unlock();
    const SteadyTime begin = clock_.Now();
    const TopAnswer answer = question(ToUnixMs(clock_.Today()));
    const Nanoseconds took = clock_.Now() - begin;
    lock.lock();
    answer(facts_);
    changed_.wait_for(lock, std::clamp(kRestPerWork * took, kLeastRest, kMostRest),
                      [&] { return ended_ || wishes_ != wishes; });
  }
}

}  // namespace kiln
