#include "db/timed_store.h"

#include <utility>

namespace kiln {
namespace {

class TimedStore final : public TuningStore {
 public:
  TimedStore(std::unique_ptr<TuningStore> inner, const Clock& clock, StoreObserver observer)
      : inner_(std::move(inner)), clock_(clock), observer_(std::move(observer)) {}

  Status Append(const Task& task, CacheState cache, std::span<const Trial> trials) override {
    const SteadyTime begun = clock_.Now();
    const Status appended = inner_->Append(task, cache, trials);
    if (appended.ok()) observer_.appended(clock_.Now() - begun);
    return Told(appended);
  }
  Status AppendConfirmation(const Task& task, CacheState cache, const Trial& trial) override {
    return Told(inner_->AppendConfirmation(task, cache, trial));
  }
  StatusOr<std::vector<Trial>> History(const Task& task, CacheState cache) const override {
    return Told(inner_->History(task, cache));
  }
  StatusOr<std::vector<Trial>> Hints(const Task& task, CacheState cache) const override {
    return Told(inner_->Hints(task, cache));
  }
  StatusOr<std::vector<TrialRecord>> Records(const BestQuery& query) const override {
    return Told(inner_->Records(query));
  }
  StatusOr<std::vector<Best>> Bests(const BestQuery& query) const override {
    return Told(inner_->Bests(query));
  }
  StatusOr<std::vector<UnknownWorkload>> UnknownWorkloads() const override {
    return Told(inner_->UnknownWorkloads());
  }
  Status AppendPeak(const Peak& peak) override { return Told(inner_->AppendPeak(peak)); }
  StatusOr<std::optional<double>> PeakOf(const std::string& target,
                                         std::int32_t threads) const override {
    return Told(inner_->PeakOf(target, threads));
  }

 private:
  Status Told(Status status) const {
    if (!status.ok()) observer_.failed(status);
    return status;
  }
  template <typename Value>
  StatusOr<Value> Told(StatusOr<Value> value) const {
    if (!value.ok()) observer_.failed(value.status());
    return value;
  }

  const std::unique_ptr<TuningStore> inner_;
  const Clock& clock_;
  const StoreObserver observer_;
};

}  // namespace

std::unique_ptr<TuningStore> NewTimedStore(std::unique_ptr<TuningStore> inner, const Clock& clock,
                                           StoreObserver observer) {
  return std::make_unique<TimedStore>(std::move(inner), clock, std::move(observer));
}

}  // namespace kiln
