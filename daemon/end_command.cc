#include "daemon/end_command.h"

#include <spdlog/spdlog.h>

#include <deque>
#include <utility>

#include "base/child_program.h"

namespace kiln {
namespace {

// So many ends wait for their commands; a command that hangs must not fill the memory.
constexpr std::size_t kMostWaiting = 1000;

class Commands final : public EndCommand, public std::enable_shared_from_this<Commands> {
 public:
  Commands(Reactor& reactor, std::function<void(std::int64_t)> told)
      : reactor_(reactor), told_(std::move(told)) {}

  void Run(const DaemonConfig& config, std::int64_t job, std::string json) override {
    if (config.command.empty()) return;
    if (waiting_.size() >= kMostWaiting) {
      spdlog::warn("command at the end of job {} left out: {} others wait for theirs", job,
                   waiting_.size());
      return;
    }
    waiting_.push_back({job, config.command, config.command_time, std::move(json)});
    if (!running_) Next();
  }
  bool is_idle() const override { return !running_ && waiting_.empty(); }

 private:
  struct Call {
    std::int64_t job = 0;
    std::vector<std::string> command;
    std::chrono::seconds time;
    std::string json;
  };

  void Next() {
    while (!waiting_.empty()) {
      const Call call = std::move(waiting_.front());
      waiting_.pop_front();
      if (Begin(call)) return;
    }
  }

  bool Begin(const Call& call) {
    ChildProgramOptions options{.program = call.command.front(),
                                .arguments = {call.command.begin() + 1, call.command.end()},
                                .input = call.json + "\n"};
    auto program =
        StartProgram(reactor_, options,
                     {.ended = [weak = weak_from_this(), job = call.job](const ProgramEnd& end) {
                       if (const auto self = weak.lock()) self->Ended(job, end);
                     }});
    if (!program.ok()) {
      spdlog::error("command at the end of job {}: {}", call.job, Message(program.status()));
      Tell(call.job);
      return false;
    }
    running_ = *std::move(program);
    const auto number = ++number_;
    reactor_.After(call.time, [weak = weak_from_this(), number, job = call.job] {
      const auto self = weak.lock();
      if (!self || !self->running_ || self->number_ != number) return;
      spdlog::error("command at the end of job {} took too long: killed", job);
      self->running_->Kill();
    });
    return true;
  }

  void Ended(std::int64_t job, const ProgramEnd& end) {
    if (end.status != 0) {
      spdlog::error("command at the end of job {} {}{}{}", job, end.how,
                    end.last_line.empty() ? "" : ": ", end.last_line);
    }
    running_.reset();
    Tell(job);
    Next();
  }

  void Tell(std::int64_t job) const {
    if (told_) told_(job);
  }

  Reactor& reactor_;
  const std::function<void(std::int64_t)> told_;
  std::deque<Call> waiting_;
  std::unique_ptr<ChildProgram> running_;
  std::uint64_t number_ = 0;
};

}  // namespace

std::shared_ptr<EndCommand> NewEndCommand(Reactor& reactor,
                                          std::function<void(std::int64_t)> told) {
  return std::make_shared<Commands>(reactor, std::move(told));
}

}  // namespace kiln
