#include "toolchain/cycle_model.h"

#include <utility>

#include "toolchain/worker_calls.h"

namespace kiln {
namespace {

class WorkerCycleModel final : public CycleModel {
 public:
  WorkerCycleModel(Reactor& reactor, const WorkerPoolOptions& options) : calls_(reactor, options) {}

  StatusOr<std::variant<CycleEstimate, EstimateFailure>> Estimate(const EstimateJob& job) override {
    const StatusOr<std::string> answer = calls_.Call(Serialize(job));
    if (answer.ok()) return Interpret(*answer);
    switch (answer.status().code()) {
      case StatusCode::kUnavailable:
        return EstimateFailure{"the simulation crashed: " + Message(answer.status())};
      case StatusCode::kDeadlineExceeded:
        return EstimateFailure{"not simulated within " + calls_.TimeOutText()};
      default:
        return answer.status();
    }
  }

 private:
  StatusOr<std::variant<CycleEstimate, EstimateFailure>> Interpret(
      const std::string& answer) const {
    EstimateReply reply;
    if (!Deserialize(answer, reply)) return calls_.OtherVersion();
    switch (reply.outcome) {
      case EstimateReply::Outcome::kEstimated:
        return CycleEstimate{reply.cycles, reply.instructions, reply.simulated_share};
      case EstimateReply::Outcome::kRejected:
        return EstimateFailure{std::move(reply.message)};
      case EstimateReply::Outcome::kBadJob:
        break;
    }
    return Error(StatusCode::kInvalidArgument, "no estimate is possible: ", reply.message);
  }

  WorkerCalls calls_;
};

}  // namespace

std::unique_ptr<CycleModel> NewCycleModel(Reactor& reactor, const WorkerPoolOptions& options) {
  return std::make_unique<WorkerCycleModel>(reactor, options);
}

}  // namespace kiln
