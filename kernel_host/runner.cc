#include "kernel_host/runner.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/digest.h"
#include "kernel_host/bound_kernel.h"
#include "kernel_host/elf_loader.h"
#include "kernel_host/memory_file.h"
#include "kernel_host/sandbox.h"
#include "kernel_host/thread_pool.h"
#include "ops/isa.h"

namespace kiln {
namespace {

constexpr std::size_t kWorkspaceAlignment = 64;
constexpr std::uint64_t kMaxNewMemory = 64 << 20;
// What uninitialised memory holds: not the same in both runs, so that a result that depends on it
// differs.
constexpr std::uint8_t PatternFor(Placement placement) {
  return placement == Placement::kLow ? 0x3C : 0xC3;
}

constexpr std::size_t kLine = 64;  // of the caches, or a part of one

// Where the inputs and outputs of a row of calls lie.
struct FreshCalls {
  const std::uint8_t* x = nullptr;
  std::uint8_t* y = nullptr;
  std::size_t x_stride = 0, y_stride = 0;
};

// Calls a kernel on all threads of a pool as the ABI says, and times that.
class KernelCalls final : public TimedCalls {
 public:
  // Both outlive this object.
  KernelCalls(const BoundKernel& kernel, ThreadPool& pool) : kernel_(kernel), pool_(pool) {}

  // Before EvictCaches(): the memory to stream over. False if there is none.
  bool MapEvictionBuffer() {
    const long level2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    const auto bytes = std::max<std::size_t>(8 << 20, level2 > 0 ? 2 * level2 : 0);
    eviction_ = GuardedBuffer::Map(bytes, 1, GuardedBuffer::Sharing::kPrivate);
    if (eviction_.mapped()) eviction_.Fill(1);  // untouched pages would all be one page
    return eviction_.mapped();
  }

  std::int64_t Run(std::int64_t calls) override {
    calls_ = calls;
    const auto start = std::chrono::steady_clock::now();
    pool_.Run(CallOnThread, this);
    return std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
  }

  // One call for each of them.
  void RunFresh(std::int64_t calls, const FreshCalls& fresh) {
    calls_ = calls;
    fresh_ = fresh;
    pool_.Run(CallFreshOnThread, this);
  }

  // On the calling thread: reads all inputs of fresh calls and writes all outputs.
  void Fetch(std::int64_t calls, const FreshCalls& fresh) {
    calls_ = calls;
    fresh_ = fresh;
    pool_.Run(FetchOnThread, this);
  }

  // On every thread, since each core has a level 2 cache of its own.
  void EvictCaches() override { pool_.Run(StreamOnThread, this); }

 private:
  static void CallOnThread(void* context, int thread) {
    const auto& self = *static_cast<const KernelCalls*>(context);
    for (std::int64_t call = 0; call < self.calls_; ++call) {
      CallShare(self.kernel_, self.pool_, thread);
      self.pool_.Barrier();  // no thread begins the next call before this one has ended
    }
  }

  static void CallFreshOnThread(void* context, int thread) {
    const auto& self = *static_cast<const KernelCalls*>(context);
    BoundKernel kernel = self.kernel_;
    kernel.x = self.fresh_.x;
    kernel.y = self.fresh_.y;
    for (std::int64_t call = 0; call < self.calls_; ++call) {
      CallShare(kernel, self.pool_, thread);
      self.pool_.Barrier();
      kernel.x = static_cast<const std::uint8_t*>(kernel.x) + self.fresh_.x_stride;
      kernel.y = static_cast<std::uint8_t*>(kernel.y) + self.fresh_.y_stride;
    }
  }

  static void FetchOnThread(void* context, int thread) {
    if (thread != 0) return;
    const auto& self = *static_cast<const KernelCalls*>(context);
    const auto calls = static_cast<std::size_t>(self.calls_);
    const volatile std::uint8_t* x = self.fresh_.x;
    volatile std::uint8_t* y = self.fresh_.y;
    for (std::size_t i = 0; i < calls * self.fresh_.x_stride; i += kLine) static_cast<void>(x[i]);
    for (std::size_t i = 0; i < calls * self.fresh_.y_stride; i += kLine) y[i] = 0;
  }

  static void StreamOnThread(void* context, int) {
    const GuardedBuffer& buffer = static_cast<const KernelCalls*>(context)->eviction_;
    const volatile std::uint8_t* bytes = buffer.At(Placement::kLow);
    for (std::size_t i = 0; i < buffer.size(); i += kLine) static_cast<void>(bytes[i]);
  }

  const BoundKernel& kernel_;
  ThreadPool& pool_;
  std::int64_t calls_ = 0;
  FreshCalls fresh_;
  GuardedBuffer eviction_;
};

// This is the whole life of the process, in the order of its functions. What fails, fails by
// Refuse(), which ends it. Nothing is allocated after EnterSandbox().
class Runner {
 public:
  explicit Runner(const RunnerOrigin& origin) : origin_(origin) {}

  [[noreturn]] void Main() {
    LeaveParent(origin_.parent, origin_.channel, log_);
    setpriority(PRIO_PROCESS, 0, -20);  // less noise, where it is allowed
    if (!ReceiveTask(origin_.channel, task_)) _exit(0);
    MapReport();
    LoadKernel();
    MapBuffers();
    FaultTrap::Install(report_->fault);
    StartThreads();
    CloseUp();
    Serve();
  }

 private:
  void MapReport() {
    void* memory = mmap(nullptr, sizeof(RunnerReport), PROT_READ | PROT_WRITE, MAP_SHARED,
                        task_.files.report, 0);
    if (memory == MAP_FAILED) _exit(1);  // the supervisor sees that the kernel was never looked at
    report_ = static_cast<RunnerReport*>(memory);
    MemoryFile(std::exchange(task_.files.report, -1));
  }

  void LoadKernel() {
    report_->stage = Stage::kLoad;
    std::string error;
    object_ = LoadedObject::Load(task_.request.object, error);
    if (!object_) Refuse(FailureKind::kBadObject, error.c_str());
    if (const auto failure = Bind(*object_, task_.request.symbol,
                                  {.workload = task_.request.workload,
                                   .machine = origin_.machine,
                                   .threads = task_.request.plan.threads},
                                  kernel_)) {
      Refuse(*failure);
    }
  }

  void MapBuffers() {
    using Sharing = GuardedBuffer::Sharing;
    const kiln_info& info = kernel_.info;
    bool mapped =
        GuardedBuffer::MapTwice(info.packed_bytes, kWorkspaceAlignment, packed_, packed_view_);
    shared_ws_ = GuardedBuffer::Map(info.shared_bytes, kWorkspaceAlignment, Sharing::kPrivate);
    mapped = mapped && shared_ws_.mapped();
    for (int t = 0; t < task_.request.plan.threads; ++t) {
      thread_ws_.push_back(
          GuardedBuffer::Map(info.thread_bytes, kWorkspaceAlignment, Sharing::kPrivate));
      mapped = mapped && thread_ws_.back().mapped();
    }
    if (!mapped) Refuse(FailureKind::kRuntimeError, "no memory for the kernel's buffers");
    if (!MapData()) Refuse(FailureKind::kDeviceLost, "no memory for the kernel's data");
  }

  // What the supervisor has as well.
  bool MapData() {
    using Access = GuardedBuffer::Access;
    using Pages = GuardedBuffer::Pages;
    const MemoryFile y(task_.files.y), fresh(task_.files.fresh);
    y_ = GuardedBuffer::MapFile(y.fd(), 0, task_.y_bytes, Access::kReadWrite, Pages::kWhenTouched);
    const FreshLayout& layout = task_.fresh;
    // Populated: these are timed at their first touch.
    fresh_x_ = GuardedBuffer::MapFile(fresh.fd(), 0, layout.calls * layout.x_stride(),
                                      Access::kReadOnly, Pages::kPopulated);
    fresh_y_ =
        GuardedBuffer::MapFile(fresh.fd(), layout.y_offset(), layout.calls * layout.y_stride(),
                               Access::kReadWrite, Pages::kPopulated);
    for (std::size_t i = 0; i < task_.cases.size(); ++i) {
      cases_.push_back(PreparedCase::Attach(task_.cases[i], MemoryFile(task_.files.cases[i])));
      if (!cases_.back()) return false;
    }
    return y_.mapped() && fresh_x_.mapped() && fresh_y_.mapped();
  }

  void StartThreads() {
    std::string error;
    pool_ = ThreadPool::Start(task_.request.plan.threads, task_.request.cores, log_, error);
    if (!pool_) Refuse(FailureKind::kDeviceLost, error.c_str());
    calls_.emplace(kernel_, *pool_);
    const MeasurePlan& plan = task_.request.plan;
    if (plan.time && plan.cache == CacheState::kCold && !calls_->MapEvictionBuffer()) {
      Refuse(FailureKind::kDeviceLost, "no memory to empty the caches");
    }
  }

  void CloseUp() {
    constexpr std::int64_t kSecond = 1'000'000'000;
    const MeasurePlan& plan = task_.request.plan;
    const std::int64_t seconds = (plan.time_out_ns / kSecond + 2) * plan.threads;
    LeaveNoDescriptor();
    EnterSandbox({.channel = origin_.channel,
                  .cpu_seconds = static_cast<std::uint64_t>(seconds),
                  .new_memory = kMaxNewMemory},
                 log_);
    std::snprintf(report_->log.data(), report_->log.size(), "%s", log_.c_str());
  }

  // The cases' files.
  void LeaveNoDescriptor() {
    syscall(SYS_close_range, static_cast<unsigned>(origin_.channel) + 1, ~0u, 0u);
  }

  [[noreturn]] void Serve() {
    Answer(RunnerAnswer::kDone);
    RunnerStep step;
    while (read(origin_.channel, &step, sizeof step) == sizeof step) {
      switch (step.kind) {
        case RunnerStep::Kind::kNothing:
          calls_->Run(0);  // as far as all threads
          break;
        case RunnerStep::Kind::kFetch:
          calls_->Fetch(std::min(step.calls, task_.fresh.calls), Fresh());
          break;
        case RunnerStep::Kind::kRunCase:
          RunCase(step.case_index, step.placement);
          break;
        case RunnerStep::Kind::kTime:
          TakeSamples(task_.request.plan, *calls_, report_->samples);
          break;
        case RunnerStep::Kind::kCall:
          calls_->Run(step.calls);
          break;
        case RunnerStep::Kind::kFresh:
          calls_->RunFresh(std::min(step.calls, task_.fresh.calls), Fresh());
          break;
      }
      Answer(RunnerAnswer::kDone);
    }
    _exit(0);
  }

  void RunCase(std::size_t index, Placement placement) {
    const PreparedCase& prepared = *cases_[index];
    DeclareBuffers(prepared, placement);
    const std::uint8_t pattern = PatternFor(placement);
    packed_.Fill(pattern);
    shared_ws_.Fill(pattern);
    for (const GuardedBuffer& workspace : thread_ws_) workspace.Fill(pattern);

    report_->stage = Stage::kPack;
    const kiln_op op = prepared.op(placement);
    Pack(op, placement);

    kernel_.packed = packed_view_.At(placement);
    kernel_.x = prepared.x(placement);
    kernel_.y = y_.At(placement);
    kernel_.shared_ws = shared_ws_.At(placement);
    for (std::size_t t = 0; t < thread_ws_.size(); ++t) {
      kernel_.thread_ws[t] = thread_ws_[t].At(placement);
    }
    report_->stage = Stage::kRun;
    calls_->Run(1);
    CheckSlack("packed", packed_, placement);
    CheckSlack("shared_ws", shared_ws_, placement);
    for (const GuardedBuffer& workspace : thread_ws_) CheckSlack("thread_ws", workspace, placement);
  }

  void DeclareBuffers(const PreparedCase& prepared, Placement placement) {
    FaultTrap::ForgetBuffers();
    prepared.Declare(placement);
    FaultTrap::Declare(BufferName::kY, y_, placement);
    FaultTrap::Declare(BufferName::kPacked, packed_, placement);
    FaultTrap::Declare(BufferName::kPacked, packed_view_, placement);
    FaultTrap::Declare(BufferName::kSharedWorkspace, shared_ws_, placement);
    for (std::size_t t = 0; t < thread_ws_.size(); ++t) {
      FaultTrap::Declare(BufferName::kThreadWorkspace, thread_ws_[t], placement,
                         static_cast<int>(t));
    }
  }

  void Pack(const kiln_op& op, Placement placement) {
    const int status = kernel_.pack(&op, packed_.At(placement));
    if (status == KILN_E_CLASS) {
      Refuse(FailureKind::kWrongClass, "pack: the values are outside of the kernel's class");
    }
    if (status != KILN_OK) {
      char message[64];
      std::snprintf(message, sizeof message, "pack returned %d", status);
      Refuse(FailureKind::kRuntimeError, message);
    }
    CheckSlack("packed", packed_, placement);
  }

  // The bytes beside a content that does not fill its pages: what the guards cannot see.
  void CheckSlack(const char* name, const GuardedBuffer& buffer, Placement placement) {
    if (buffer.SlackHolds(placement, PatternFor(placement))) return;
    char message[64];
    std::snprintf(message, sizeof message, "wrote outside of %s", name);
    Refuse(FailureKind::kRuntimeError, message);
  }

  void Answer(RunnerAnswer answer) {
    if (write(origin_.channel, &answer, sizeof answer) != sizeof answer) _exit(0);
  }

  [[noreturn]] void Refuse(const Failure& failure) {
    Refuse(failure.kind, failure.message.c_str());
  }
  [[noreturn]] void Refuse(FailureKind kind, const char* message) {
    report_->failure_kind = kind;
    std::snprintf(report_->failure.data(), report_->failure.size(), "%s", message);
    report_->failed = true;
    Answer(RunnerAnswer::kFailed);
    _exit(0);
  }

  FreshCalls Fresh() const {
    return {fresh_x_.At(Placement::kLow), fresh_y_.At(Placement::kLow), task_.fresh.x_stride(),
            task_.fresh.y_stride()};
  }

  const RunnerOrigin origin_;
  RunnerTask task_;
  RunnerReport* report_ = nullptr;
  std::string log_;
  std::vector<std::unique_ptr<PreparedCase>> cases_;
  GuardedBuffer y_, fresh_x_, fresh_y_;
  std::optional<LoadedObject> object_;
  BoundKernel kernel_;
  GuardedBuffer packed_, packed_view_, shared_ws_;
  std::vector<GuardedBuffer> thread_ws_;
  std::unique_ptr<ThreadPool> pool_;
  std::optional<KernelCalls> calls_;
};

}  // namespace

void RunnerMain(const RunnerOrigin& origin) { Runner(origin).Main(); }

}  // namespace kiln
