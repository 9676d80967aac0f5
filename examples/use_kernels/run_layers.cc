// Kernels from C++: an operator that owns its memory, on threads that are started once.

#include <barrier>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kiln_cases.h"
#include "net.h"

namespace {

// Threads that wait for work at a barrier; the calling thread is number 0.
class Threads {
 public:
  explicit Threads(std::uint32_t threads) : between_(threads), at_ends_(threads) {
    for (std::uint32_t t = 1; t < threads; ++t) threads_.emplace_back([this, t] { Work(t); });
    pool_ = {this, threads, Parallel,
             [](void* self) { static_cast<Threads*>(self)->between_.arrive_and_wait(); }};
  }
  ~Threads() {
    body_ = nullptr;
    at_ends_.arrive_and_wait();
  }
  Threads(const Threads&) = delete;

  const kiln_pool& pool() const { return pool_; }

 private:
  static void Parallel(void* self, kiln_body_fn* body, void* context) {
    auto& threads = *static_cast<Threads*>(self);
    threads.body_ = body;
    threads.context_ = context;
    threads.at_ends_.arrive_and_wait();
    body(context, 0);
    threads.at_ends_.arrive_and_wait();
  }

  void Work(std::uint32_t thread) {
    while (true) {
      at_ends_.arrive_and_wait();
      if (body_ == nullptr) return;
      body_(context_, thread);
      at_ends_.arrive_and_wait();
    }
  }

  std::barrier<> between_;  // phases
  std::barrier<> at_ends_;  // of calls
  kiln_body_fn* body_ = nullptr;
  void* context_ = nullptr;
  kiln_pool pool_{};
  std::vector<std::jthread> threads_;  // the last member: they use the others
};

// An operator of the network, packed.
class Operator {
 public:
  Operator(const kiln_kernel* kernel, const kiln_op& op, const kiln_pool& pool)
      : kernel_(kernel), pool_(pool) {
    if (kernel == nullptr) throw std::runtime_error(kiln_strerror(KILN_E_NO_KERNEL));
    packed_ = Allocate(kernel->info->packed_bytes);
    workspace_ = Allocate(kiln_workspace_bytes(kernel, pool.threads));
    const int status = kiln_pack(kernel, &op, packed_.get());
    if (status != KILN_OK) throw std::runtime_error(kiln_strerror(status));
  }

  std::vector<std::uint8_t> operator()(const void* x) {
    std::vector<std::uint8_t> y(kernel_->info->y_bytes);
    kiln_run(kernel_, packed_.get(), x, y.data(), workspace_.get(), &pool_);
    return y;
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  using Memory = std::unique_ptr<void, Free>;
  static Memory Allocate(std::uint64_t bytes) {
    Memory memory(kiln_aligned_alloc(bytes));
    if (!memory) throw std::bad_alloc();
    return memory;
  }

  const kiln_kernel* kernel_;
  const kiln_pool& pool_;
  Memory packed_, workspace_;
};

}  // namespace

int main(int argc, char** argv) {
  constexpr std::uint32_t kThreads = 2;
  kiln_cases cases;
  if (argc < 2 || !kiln_open_cases(&cases, argv[1])) return 1;
  Threads threads(kThreads);
  kiln_context context;
  net_init(&context, kThreads);
  int layers = 0, wrong = 0;
  kiln_record layer;
  while (kiln_next_record(&cases, &layer) > 0) {
    Operator run(net_find(&context, layer.workload), layer.op, threads.pool());
    kiln_case data;
    for (std::uint32_t i = 0; i < layer.n_cases && kiln_next_case(&cases, &data) > 0; ++i) {
      const std::vector<std::uint8_t> y = run(data.x);
      wrong += kiln_crc32(y.data(), y.size()) != data.y_crc32;
    }
    ++layers;
  }
  kiln_close_cases(&cases);
  std::printf("%d operators on %u threads, %d outputs wrong\n", layers, kThreads, wrong);
  return layers == 0 || wrong != 0;
}
