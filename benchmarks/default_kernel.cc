#include "benchmarks/default_kernel.h"

#include <memory>
#include <utility>
#include <variant>

#include "toolchain/toolchain.h"

namespace kiln {

StatusOr<Artifact> BuildDefault(Reactor& reactor, const Task& task) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Builder> builder, NewToolchain(reactor, {.workers = 1}));
  const Config config = task.kernel_template().Default(task.spec(), task.space());
  ASSIGN_OR_RETURN(auto built, builder->Build(task, config));
  if (const auto* failure = std::get_if<BuildFailure>(&built)) {
    return Error(StatusCode::kInternal, failure->failure.message);
  }
  return std::get<Artifact>(std::move(built));
}

}  // namespace kiln
