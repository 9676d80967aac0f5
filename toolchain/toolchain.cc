#include "toolchain/toolchain.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/paths.h"
#include "base/read_file.h"
#include "toolchain/artifact_cache.h"
#include "toolchain/worker_pool.h"

namespace kiln {
namespace {

class CompilingBuilder final : public Builder {
 public:
  explicit CompilingBuilder(std::unique_ptr<Compiler> compiler) : compiler_(std::move(compiler)) {}

  StatusOr<std::variant<Artifact, BuildFailure>> Build(const Task& task,
                                                       const Config& config) override {
    const StatusOr<KernelSource> source = task.Emit(config);
    if (!source.ok()) {
      Failure refused{Stage::kLower, FailureKind::kInvalidConfig, Message(source.status())};
      return BuildFailure{std::move(refused), 0};
    }
    ASSIGN_OR_RETURN(auto result,
                     compiler_->Compile(JobFor(*source, task.target(), EmitKind::kObject)));
    if (auto* failure = std::get_if<CompileFailure>(&result)) {
      Failure error{Stage::kCompile, FailureKind::kCompileError, std::move(failure->message)};
      return BuildFailure{std::move(error), source->code_digest};
    }
    auto object =
        std::make_shared<const std::string>(std::move(std::get<CompiledCode>(result).output));
    const std::uint64_t object_digest = Digest(*object);
    return Artifact{std::move(object), source->symbol, source->code_digest, object_digest};
  }

 private:
  const std::unique_ptr<Compiler> compiler_;
};

// Another build of the worker may have other flags, or another LLVM.
StatusOr<std::uint64_t> IdentityOf(const std::string& worker) {
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(worker));
  return Digest({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// Empty: the environment names no place for one.
std::string DefaultCacheDirectory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache == '/') return std::string(cache) + "/kiln/objects";
  const char* home = std::getenv("HOME");
  if (home && *home == '/') return std::string(home) + "/.cache/kiln/objects";
  return {};
}

}  // namespace

StatusOr<std::unique_ptr<Compiler>> NewCompiler(Reactor& reactor, const ToolchainOptions& options) {
  ASSIGN_OR_RETURN(const std::string worker, FindHelper("kiln-compile-worker"));
  auto pool = NewWorkerPool(reactor, {.program = worker,
                                      .workers = options.workers,
                                      .cores = options.cores,
                                      .time_out = options.time_out,
                                      .on_queued = options.on_queued});
  if (options.cache_bytes <= 0) return pool;
  const std::string directory =
      options.cache_dir.empty() ? DefaultCacheDirectory() : options.cache_dir;
  if (directory.empty()) {
    spdlog::warn("no object cache: neither XDG_CACHE_HOME nor HOME is set");
    return pool;
  }
  ASSIGN_OR_RETURN(const std::uint64_t compiler, IdentityOf(worker));
  return NewArtifactCache(std::move(pool), {.directory = directory,
                                            .bytes = options.cache_bytes,
                                            .compiler = compiler,
                                            .on_lookup = options.on_lookup});
}

std::unique_ptr<Builder> NewBuilder(std::unique_ptr<Compiler> compiler) {
  return std::make_unique<CompilingBuilder>(std::move(compiler));
}

StatusOr<std::unique_ptr<Builder>> NewToolchain(Reactor& reactor, const ToolchainOptions& options) {
  ASSIGN_OR_RETURN(auto compiler, NewCompiler(reactor, options));
  return NewBuilder(std::move(compiler));
}

}  // namespace kiln
