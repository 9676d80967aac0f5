#include "estimate/estimator.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/paths.h"
#include "estimate/block_counter.h"

namespace kiln {
namespace {

// Workers remember what they simulated: they are replaced rarely.
constexpr std::int32_t kJobsPerWorker = 20'000;

std::string DeviceName(const Target& target) {
  std::string ghz = std::to_string(target.estimate->ghz);
  ghz.erase(ghz.find_last_not_of('0') + 1);
  if (ghz.back() == '.') ghz.pop_back();
  return "model:" + target.estimate->mca_cpu + "@" + ghz + "GHz";
}

// What the devices have in common.
struct Shared {
  Target target;
  std::string name;
  std::unique_ptr<CycleModel> model;
  absl::Mutex mutex;
  std::vector<std::unique_ptr<BlockCounter>> idle ABSL_GUARDED_BY(mutex);  // one per free device
};

class EstimatorLease final : public Lease {
 public:
  EstimatorLease(Shared& shared, std::unique_ptr<BlockCounter> counter)
      : shared_(shared), counter_(std::move(counter)) {}
  ~EstimatorLease() override {
    absl::MutexLock lock(&shared_.mutex);
    shared_.idle.push_back(std::move(counter_));
  }
  std::string_view device() const override { return shared_.name; }
  TimeKind kind() const override { return TimeKind::kEstimated; }

  StatusOr<RunResult> Run(const RunRequest& request) override {
    if (request.plan.threads != 1 || request.plan.cache != CacheState::kHot) {
      return Error(StatusCode::kInvalidArgument,
                   "estimates are of one thread whose data are in the first cache");
    }
    ASSIGN_OR_RETURN(auto counted, counter_->Count(request));
    RunResult result;
    if (auto* failure = std::get_if<Failure>(&counted)) {
      result.outcome = std::move(*failure);
      return result;
    }
    ASSIGN_OR_RETURN(result.outcome,
                     TimeOf(request, std::get<std::vector<CountedBlock>>(std::move(counted))));
    return result;
  }

 private:
  StatusOr<Outcome> TimeOf(const RunRequest& request, std::vector<CountedBlock> blocks) const {
    const EstimateModel& model = *shared_.target.estimate;
    ASSIGN_OR_RETURN(const auto estimate,
                     shared_.model->Estimate({.object = *request.artifact->object,
                                              .arch = shared_.target.arch,
                                              .cpu = model.mca_cpu,
                                              .blocks = std::move(blocks)}));
    if (const auto* failure = std::get_if<EstimateFailure>(&estimate)) {
      return Failure{Stage::kRun, FailureKind::kRuntimeError, "no estimate: " + failure->message};
    }
    Timings timings;
    timings.samples_ns = {std::get<CycleEstimate>(estimate).cycles / model.ghz};
    return timings;
  }

  Shared& shared_;
  std::unique_ptr<BlockCounter> counter_;
};

class EstimatorPool final : public DevicePool {
 public:
  explicit EstimatorPool(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  StatusOr<std::unique_ptr<Lease>> Acquire(const Target& target, TimeKind kind,
                                           std::chrono::nanoseconds timeout) override {
    if (target.name != shared_->target.name || kind != TimeKind::kEstimated) {
      return Error(StatusCode::kInvalidArgument, "estimates are made for ", shared_->target.name,
                   ", no ", Name(kind), " times for ", target.name);
    }
    absl::MutexLock lock(&shared_->mutex);
    const auto is_free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(shared_->mutex) {
      return !shared_->idle.empty();
    };
    if (!shared_->mutex.AwaitWithTimeout(absl::Condition(&is_free), absl::FromChrono(timeout))) {
      return Error(StatusCode::kDeadlineExceeded, "every estimator is in use");
    }
    std::unique_ptr<BlockCounter> counter = std::move(shared_->idle.back());
    shared_->idle.pop_back();
    return std::make_unique<EstimatorLease>(*shared_, std::move(counter));
  }

 private:
  const std::shared_ptr<Shared> shared_;
};

}  // namespace

StatusOr<std::unique_ptr<DevicePool>> NewEstimator(Reactor& reactor,
                                                   const EstimatorOptions& options) {
  if (!options.target.estimate) {
    return Error(StatusCode::kInvalidArgument, "target ", options.target.name,
                 " has no \"estimate\" (docs/targets.md), so there is nothing to estimate with");
  }
  ASSIGN_OR_RETURN(const std::string worker, FindHelper("kiln-compile-worker"));
  auto shared = std::make_shared<Shared>();
  shared->target = options.target;
  shared->name = DeviceName(options.target);
  shared->model = NewCycleModel(
      reactor, {.program = worker, .workers = options.devices, .jobs_per_worker = kJobsPerWorker});
  // An empty job: whether there is such a model.
  RETURN_IF_ERROR(
      shared->model
          ->Estimate(
              {.object = {}, .arch = options.target.arch, .cpu = options.target.estimate->mca_cpu})
          .status());
  for (std::int32_t i = 0; i < options.devices; ++i) {
    ASSIGN_OR_RETURN(auto counter, NewEmulatedCounter(reactor, {.arch = options.target.arch,
                                                                .isa = options.target.isa}));
    absl::MutexLock lock(&shared->mutex);
    shared->idle.push_back(std::move(counter));
  }
  return std::make_unique<EstimatorPool>(shared);
}

}  // namespace kiln
