#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/reactor.h"
#include "measure/measurer.h"
#include "toolchain/artifact_cache.h"
#include "toolchain/compiler.h"

namespace kiln {

struct ToolchainOptions {
  std::int32_t workers = 2;           // compile jobs at a time
  std::vector<std::int32_t> cores{};  // that they run on; empty: anywhere
  // For one kernel, of processor time: workers have the lowest priority, and others may keep all
  // cores busy.
  std::chrono::nanoseconds time_out = std::chrono::seconds(60);
  std::string cache_dir{};                       // empty: $XDG_CACHE_HOME/kiln/objects
  std::int64_t cache_bytes = 1LL << 30;          // 0: no cache
  std::function<void(CacheLookup)> on_lookup{};  // on the threads that build; null: nobody cares
  std::function<void(std::chrono::nanoseconds)> on_queued{};  // as WorkerPoolOptions has it
};

// The worker pool behind the object cache. kNotFound: there is no kiln-compile-worker. The reactor
// must outlive it.
StatusOr<std::unique_ptr<Compiler>> NewCompiler(Reactor& reactor, const ToolchainOptions& options);

// A Builder on a compiler: a config that does not lower or compile is a BuildFailure.
std::unique_ptr<Builder> NewBuilder(std::unique_ptr<Compiler> compiler);

// Both together. No process is started before the first kernel that is not in the cache.
StatusOr<std::unique_ptr<Builder>> NewToolchain(Reactor& reactor, const ToolchainOptions& options);

}  // namespace kiln
