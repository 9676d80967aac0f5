// How long kernels take to compile: random configs of a 3x3 convolution, the fastest template of
// each instruction set, through the real workers. Prints milliseconds: of wall time, and of
// processor time, which a busy machine does not change much.
//
// usage: toolchain_benchmark [kernels per row, default 40]

#include <fmt/core.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/helper_process.h"
#include "kernels_templates/task.h"
#include "ops/workload_key.h"
#include "toolchain/artifact_cache.h"
#include "toolchain/worker_pool.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

constexpr char kWorkload[] =
    "conv2d/i8/n1h56w56c64/o64/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=gen/double";

template <typename T>
T OrExit(StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  fmt::print(stderr, "{}\n", Message(value.status()));
  std::exit(1);
}

template <typename F>
double MillisecondsOf(F&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

// Of those that have ended.
double ProcessorTimeOfWorkers() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto milliseconds = [](const timeval& time) {
    return 1e3 * static_cast<double>(time.tv_sec) + 1e-3 * static_cast<double>(time.tv_usec);
  };
  return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
}

std::vector<CompileJob> RandomJobs(const Target& target, int count) {
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  TaskSpec spec;
  spec.workload = OrExit(ParseWorkload(kWorkload));
  spec.target = target;
  const Task task = OrExit(Task::Create(registry, spec));
  fmt::print("{} for {}: ", task.kernel_template().name(), target.cpu);
  Rng rng(1);
  std::vector<CompileJob> jobs;
  for (int i = 0; i < count; ++i) {
    const KernelSource source = OrExit(task.Emit(task.space().Sample(rng)));
    jobs.push_back(JobFor(source, target, EmitKind::kObject));
  }
  return jobs;
}

void CompileOrExit(Compiler& compiler, const CompileJob& job) {
  const auto result = OrExit(compiler.Compile(job));
  if (const auto* failure = std::get_if<CompileFailure>(&result)) {
    fmt::print(stderr, "{}\n", failure->message);
    std::exit(1);
  }
}

// Compiles all jobs with as many threads as there are workers; returns the time of each.
std::vector<double> CompileAll(Compiler& compiler, const std::vector<CompileJob>& jobs,
                               int threads) {
  std::vector<double> times(jobs.size());
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> pool;
  pool.reserve(static_cast<std::size_t>(threads));
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      for (std::size_t i; (i = next++) < jobs.size();) {
        times[i] = MillisecondsOf([&] { CompileOrExit(compiler, jobs[i]); });
      }
    });
  }
  for (std::thread& thread : pool) thread.join();
  return times;
}

void PrintCompileTimes(Reactor& reactor, const std::string& worker, const Target& target,
                       int count) {
  const std::vector<CompileJob> jobs = RandomJobs(target, count);
  const double before = ProcessorTimeOfWorkers();
  auto one = NewWorkerPool(reactor, {.program = worker, .workers = 1});
  CompileOrExit(*one, jobs[0]);  // starts the worker
  std::vector<double> times = CompileAll(*one, jobs, 1);
  std::sort(times.begin(), times.end());
  one.reset();
  const double processor = ProcessorTimeOfWorkers() - before;

  const auto two = NewWorkerPool(reactor, {.program = worker, .workers = 2});
  CompileAll(*two, {jobs[0], jobs[0]}, 2);
  const double both = MillisecondsOf([&] { CompileAll(*two, jobs, 2); });
  fmt::print(
      "{} kernels of {} lines: min {:.1f} median {:.1f} max {:.1f}, processor time {:.1f} each; "
      "with 2 workers {:.1f} each\n",
      count, std::count(jobs[0].c.begin(), jobs[0].c.end(), '\n'), times.front(),
      times[times.size() / 2], times.back(), processor / (count + 1), both / count);
}

void PrintStartTime(Reactor& reactor, const std::string& worker) {
  std::vector<double> times;
  times.reserve(10);
  for (int i = 0; i < 10; ++i) {
    times.push_back(MillisecondsOf([&] {
      auto process = OrExit(StartHelper(reactor, {worker, {}, "kiln-compile-worker"}));
      OrExit(process->Call({}, std::chrono::seconds(30)));
    }));
  }
  std::sort(times.begin(), times.end());
  fmt::print("worker ready after {:.1f} ms (median of 10, min {:.1f})\n", times[5], times[0]);
}

void PrintCacheTime(Reactor& reactor, const std::string& worker, const Target& target) {
  std::string directory = fs::temp_directory_path() / "toolchain_benchmark.XXXXXX";
  if (!mkdtemp(directory.data())) return;
  const std::vector<CompileJob> jobs = RandomJobs(target, 40);
  const auto cache =
      NewArtifactCache(NewWorkerPool(reactor, {.program = worker}), {.directory = directory});
  CompileAll(*cache, jobs, 1);
  const double all = MillisecondsOf([&] { CompileAll(*cache, jobs, 1); });
  fmt::print("from the cache {:.3f} each\n", all / 40);
  fs::remove_all(directory);
}

int Run(int count) {
  const auto reactor = NewReactor();
  const std::string worker = OrExit(FindHelper("kiln-compile-worker"));
  Target cascadelake;
  cascadelake.arch = "x86_64";
  cascadelake.cpu = "cascadelake";
  cascadelake.isa =
      Bit(IsaFeature::kAvx2) | Bit(IsaFeature::kAvx512) | Bit(IsaFeature::kAvx512Vnni);
  Target haswell = cascadelake;
  haswell.cpu = "haswell";
  haswell.isa = Bit(IsaFeature::kAvx2);
  Target rasp4b;
  rasp4b.arch = "aarch64";
  rasp4b.cpu = "cortex-a72";
  rasp4b.isa = Bit(IsaFeature::kNeon);

  PrintStartTime(*reactor, worker);
  for (const Target& target : {cascadelake, haswell, rasp4b}) {
    PrintCompileTimes(*reactor, worker, target, count);
  }
  PrintCacheTime(*reactor, worker, cascadelake);
  return 0;
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 40;
  if (count < 1) {
    fmt::print(stderr, "usage: {} [kernels per row]\n", argv[0]);
    return 2;
  }
  return kiln::Run(count);
}
