#include "benchmarks/in_process_kernel.h"

#include <cstring>
#include <new>
#include <string>

#include "kernel_host/abi_op.h"

namespace kiln {
namespace {

constexpr std::size_t kAlignment = 64;

}  // namespace

StatusOr<std::unique_ptr<InProcessKernel>> InProcessKernel::Load(const Artifact& artifact,
                                                                 const Workload& workload,
                                                                 ThreadPool& pool) {
  std::unique_ptr<InProcessKernel> loaded(new InProcessKernel(pool));
  std::string error;
  loaded->object_ = LoadedObject::Load(*artifact.object, error);
  if (!loaded->object_) return Error(StatusCode::kInvalidArgument, error);
  const auto failure = Bind(
      *loaded->object_, artifact.symbol,
      {.workload = workload, .machine = DetectIsa(), .threads = pool.threads()}, loaded->kernel_);
  if (failure) return Error(StatusCode::kInvalidArgument, failure->message);
  loaded->MakeBuffers();
  return loaded;
}

// Zeroed, so that every page is there before anything is timed.
InProcessKernel::Bytes InProcessKernel::Allocate(std::uint64_t bytes) {
  const std::uint64_t rounded = (bytes / kAlignment + 1) * kAlignment;
  Bytes memory(static_cast<std::uint8_t*>(std::aligned_alloc(kAlignment, rounded)));
  if (!memory) throw std::bad_alloc();
  std::memset(memory.get(), 0, rounded);
  return memory;
}

void InProcessKernel::MakeBuffers() {
  const kiln_info& info = kernel_.info;
  packed_ = Allocate(info.packed_bytes);
  x_ = Allocate(info.x_bytes);
  y_ = Allocate(info.y_bytes);
  shared_ws_ = Allocate(info.shared_bytes);
  kernel_.packed = packed_.get();
  kernel_.x = x_.get();
  kernel_.y = y_.get();
  kernel_.shared_ws = shared_ws_.get();
  for (int t = 0; t < pool_.threads(); ++t) {
    thread_ws_.push_back(Allocate(info.thread_bytes));
    kernel_.thread_ws[static_cast<std::size_t>(t)] = thread_ws_.back().get();
  }
}

Status InProcessKernel::Use(const OpCase& data) {
  const kiln_op op = AbiOp(data.values);
  if (const int status = kernel_.pack(&op, packed_.get()); status != KILN_OK) {
    return Error(StatusCode::kFailedPrecondition, "pack refuses the values: status ", status);
  }
  std::memcpy(x_.get(), data.x.data(), data.x.size());
  return absl::OkStatus();
}

void InProcessKernel::CallChunks(std::uint32_t begin, std::uint32_t end) {
  kernel_.run(kernel_.packed, kernel_.x, kernel_.y, kernel_.shared_ws, kernel_.thread_ws[0], 0,
              begin, end);
}

void InProcessKernel::ClearOutput() { std::memset(y_.get(), 0, kernel_.info.y_bytes); }

void InProcessKernel::CallOnThread(void* context, int thread) {
  const auto& self = *static_cast<const InProcessKernel*>(context);
  CallShare(self.kernel_, self.pool_, thread);
}

}  // namespace kiln
