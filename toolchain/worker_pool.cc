#include "toolchain/worker_pool.h"

#include <utility>

#include "toolchain/worker_calls.h"

namespace kiln {
namespace {

class WorkerPool final : public Compiler {
 public:
  WorkerPool(Reactor& reactor, const WorkerPoolOptions& options) : calls_(reactor, options) {}

  StatusOr<std::variant<CompiledCode, CompileFailure>> Compile(const CompileJob& job) override {
    const StatusOr<std::string> answer = calls_.Call(Serialize(job));
    if (answer.ok()) return Interpret(*answer);
    switch (answer.status().code()) {
      case StatusCode::kUnavailable:
        return CompileFailure{"compiler crashed: " + Message(answer.status())};
      case StatusCode::kDeadlineExceeded:
        return CompileFailure{"not compiled within " + calls_.TimeOutText()};
      default:
        return answer.status();
    }
  }

  StatusOr<std::string> Describe() override {
    ASSIGN_OR_RETURN(const std::string greeting, calls_.Call({}));
    CompileReply reply;
    if (!Deserialize(greeting, reply)) return calls_.OtherVersion();
    return reply.compiler;
  }

 private:
  StatusOr<std::variant<CompiledCode, CompileFailure>> Interpret(const std::string& answer) const {
    CompileReply reply;
    if (!Deserialize(answer, reply)) return calls_.OtherVersion();
    switch (reply.outcome) {
      case CompileReply::Outcome::kCompiled:
        return CompiledCode{std::move(reply.output), std::move(reply.compiler)};
      case CompileReply::Outcome::kRejected:
        return CompileFailure{std::move(reply.message)};
      case CompileReply::Outcome::kBadJob:
        break;
    }
    // Its first line says what is wrong; the notes below it list all processors that clang knows.
    return Error(StatusCode::kInvalidArgument, "the compiler refuses the target: ",
                 reply.message.substr(0, reply.message.find('\n')));
  }

  WorkerCalls calls_;
};

}  // namespace

std::unique_ptr<Compiler> NewWorkerPool(Reactor& reactor, const WorkerPoolOptions& options) {
  return std::make_unique<WorkerPool>(reactor, options);
}

}  // namespace kiln
