#include "daemon/job_tuner.h"

#include <spdlog/spdlog.h>

#include <csignal>
#include <utility>

namespace kiln {
namespace {

class ProgramTuner final : public JobTuner {
 public:
  explicit ProgramTuner(std::unique_ptr<ChildProgram> program) : program_(std::move(program)) {}
  void Stop() override { program_->Signal(SIGTERM); }
  void Kill() override { program_->Kill(); }

 private:
  std::unique_ptr<ChildProgram> program_;
};

class ProgramTuners final : public JobTuners {
 public:
  ProgramTuners(Reactor& reactor, std::string program)
      : reactor_(reactor), program_(std::move(program)) {}

  StatusOr<std::unique_ptr<JobTuner>> Start(const TunerOrder& order, Observer observer) override {
    auto on_frame = [job = order.job,
                     on_event = std::move(observer.event)](const std::string& frame) {
      const StatusOr<TunerEvent> event = ParseTunerEvent(frame);
      if (event.ok()) return on_event(*event);
      spdlog::warn("tuner of job {}: {}", job, Message(event.status()));
    };
    ASSIGN_OR_RETURN(
        std::unique_ptr<ChildProgram> program,
        StartProgram(reactor_, {.program = program_, .arguments = {"run-job"}},
                     {.frame = std::move(on_frame), .ended = std::move(observer.ended)}));
    program->Send(ToJson(order));
    return std::make_unique<ProgramTuner>(std::move(program));
  }

 private:
  Reactor& reactor_;
  const std::string program_;
};

}  // namespace

std::unique_ptr<JobTuners> NewJobTuners(Reactor& reactor, std::string program) {
  return std::make_unique<ProgramTuners>(reactor, std::move(program));
}

}  // namespace kiln
