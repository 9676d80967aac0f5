#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "measure/measurer.h"
#include "tests/tuner/synthetic_task.h"

namespace kiln::testing {

// This measures synthetic tasks on a thread of its own, in the order of submission or, as a farm
// might, in a random one.
class FakeMeasurer final : public Measurer {
 public:
  enum class Order { kSubmitted, kShuffled };
  using Measure = std::function<StatusOr<Trial>(const MeasureRequest&)>;

  explicit FakeMeasurer(Order order = Order::kSubmitted, Measure measure = Exact)
      : order_(order), measure_(std::move(measure)), worker_([this] { Work(); }) {}

  ~FakeMeasurer() override {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
      changed_.notify_all();
    }
    worker_.join();
  }

  void Submit(MeasureRequest request, Completion done) override {
    std::lock_guard lock(mutex_);
    submitted_.push_back(request);
    queue_.emplace_back(std::move(request), std::move(done));
    changed_.notify_all();
  }

  void Withdraw() override {
    std::deque<Job> withdrawn;
    {
      std::lock_guard lock(mutex_);
      ++withdrawals_;
      withdrawn.swap(queue_);
      changed_.notify_all();
    }
    for (const Job& job : withdrawn) {
      job.second(Error(StatusCode::kCancelled, "withdrawn before it had a result"));
    }
  }

  // How often somebody withdrew.
  int withdrawals() const {
    std::lock_guard lock(mutex_);
    return withdrawals_;
  }

  // For a trial that runs until somebody withdraws. False: nobody does.
  bool AwaitWithdrawal() {
    constexpr std::chrono::seconds kPatience{20};
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [this] { return withdrawals_ > 0; });
  }

  // Everything that was ever submitted.
  std::vector<MeasureRequest> submitted() const {
    std::lock_guard lock(mutex_);
    return submitted_;
  }

  // The true time, without noise; uuids count up.
  static StatusOr<Trial> Exact(const MeasureRequest& request) {
    static std::atomic<int> count = 0;
    Trial trial;
    trial.uuid = "trial-" + std::to_string(++count);
    trial.config = request.config;
    trial.code_digest = request.task.Emit(request.config)->code_digest;
    trial.outcome = SyntheticOutcome(request.task, request.config, request.plan.samples,
                                     request.plan.cut_off_ns);
    trial.predicted = request.predicted;
    trial.batch = request.batch;
    trial.kind = request.kind;
    return trial;
  }

 private:
  using Job = std::pair<MeasureRequest, Completion>;

  void Work() {
    Rng rng(1);
    while (true) {
      std::optional<Job> job;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        if (queue_.empty()) return;
        if (order_ == Order::kShuffled) AwaitAnother(lock);
        if (queue_.empty()) continue;  // withdrawn meanwhile
        const std::size_t at = order_ == Order::kShuffled ? rng.Below(queue_.size()) : 0;
        job = std::move(queue_[at]);
        queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(at));
      }
      job->second(measure_(job->first));
    }
  }

  // One that keeps up with its tuner has nothing to shuffle. What is here may be the last.
  void AwaitAnother(std::unique_lock<std::mutex>& lock) {
    constexpr std::chrono::milliseconds kPatience{20};
    changed_.wait_for(lock, kPatience, [this] { return closing_ || queue_.size() > 1; });
  }

  const Order order_;
  const Measure measure_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<MeasureRequest> submitted_;
  std::deque<Job> queue_;
  bool closing_ = false;
  int withdrawals_ = 0;
  std::thread worker_;
};

}  // namespace kiln::testing
