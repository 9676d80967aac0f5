// Kiln's kernels as one of the peers that are timed side by side: scripts/compare_peers starts one
// such worker per library and thread count and asks them in turn, so that all see the same state of
// the machine. A line in, a line out:
//
//   (start)             hello kiln ...
//   run <layer> <ms>    ok <min us> <median us> <calls>     calls timed one by one, for so long
//   check <layer>       ok maxdiff <d> differing <n> of <m> against the reference, bit for bit
//   info <layer>        ok stored|default <config>
//   quit
//
// and `err <why>` where something goes wrong. <layer> is a row of LAYERS.csv, from 0. A kernel is
// compiled and packed when it is first asked for. It runs in this process, on memory of the C
// library, its caches hot: the way the other workers run theirs.

#include <fmt/format.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "apps/kiln/config_choice.h"
#include "apps/kiln/stored.h"
#include "base/reactor.h"
#include "base/standard_streams.h"
#include "base/version.h"
#include "benchmarks/in_process_kernel.h"
#include "models/model.h"
#include "ops/reference.h"
#include "toolchain/toolchain.h"

namespace kiln {
namespace {

struct Options {
  std::string layers, db, target = "native";
  std::int32_t threads = 1;
  LayerListOptions list;
};

// One row of the list. Its kernel comes with the first command that needs it.
struct ServedLayer {
  std::string name;
  StatusOr<Task> task;
  Config config;
  bool stored = false;
  std::unique_ptr<InProcessKernel> kernel;
};

// What the store has for a list.
struct ServedList {
  std::vector<ServedLayer> layers;
  std::optional<double> peak_gops;  // measured by `kiln tune` with so many threads
};

StatusOr<ServedList> ReadList(const Options& options) {
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  ASSIGN_OR_RETURN(const Network network, ReadLayersCsv(options.layers, options.list));
  ASSIGN_OR_RETURN(const Target target, FindTarget(options.target));
  std::string path = options.db;
  if (path.empty()) {
    ASSIGN_OR_RETURN(path, DefaultDatabasePath());
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store,
                   OpenSqliteStore(path, OpenMode::kReadOnly));
  ServedList list;
  ASSIGN_OR_RETURN(list.peak_gops, store->PeakOf(target.name, options.threads));
  for (const Layer& layer : network.layers) {
    ServedLayer served{.name = layer.name,
                       .task = Task::Create(registry, {layer.workload, target, options.threads})};
    if (served.task.ok()) {
      const Task& task = *served.task;
      ASSIGN_OR_RETURN(const std::optional<Config> best,
                       StoredConfig(*store, task, CacheState::kHot));
      served.stored = best.has_value();
      served.config = best ? *best : task.kernel_template().Default(task.spec(), task.space());
    }
    list.layers.push_back(std::move(served));
  }
  return list;
}

std::string Hello(const Options& options, const ServedList& list) {
  std::string defaults;
  std::size_t stored = 0;
  for (const ServedLayer& layer : list.layers) {
    stored += layer.stored;
    if (layer.task.ok() && !layer.stored) defaults += " " + layer.name;
  }
  std::string line = fmt::format("hello kiln {} threads {}: stored configs for {} of {} layers",
                                 kVersion, options.threads, stored, list.layers.size());
  if (list.peak_gops) line += fmt::format(", peak {:.1f} GOP/s", *list.peak_gops);
  if (!defaults.empty()) line += ", the untuned default for" + defaults;
  return line;
}

struct CallTimes {
  double min_us = 0, median_us = 0;
  std::size_t calls = 0;
};

// Each call timed by itself, one reading of the clock between two calls, after a warm-up.
CallTimes TimeCalls(InProcessKernel& kernel, std::chrono::duration<double, std::milli> time) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kWarmUp = std::chrono::milliseconds(4);
  constexpr std::size_t kFewest = 3, kMost = 1 << 20;
  const auto warm_up_start = Clock::now();
  do {
    kernel.Call();
    kernel.Call();
  } while (Clock::now() - warm_up_start < kWarmUp);

  static std::vector<double> calls_us = [] {
    std::vector<double> reserved;
    reserved.reserve(kMost);
    return reserved;
  }();
  calls_us.clear();
  const auto start = Clock::now();
  auto before = start;
  do {
    kernel.Call();
    const auto after = Clock::now();
    calls_us.push_back(std::chrono::duration<double, std::micro>(after - before).count());
    before = after;
  } while ((before - start < time || calls_us.size() < kFewest) && calls_us.size() < kMost);
  std::sort(calls_us.begin(), calls_us.end());
  return {calls_us.front(), calls_us[calls_us.size() / 2], calls_us.size()};
}

class Worker {
 public:
  Worker(std::vector<ServedLayer> layers, Builder& builder, ThreadPool& pool)
      : layers_(std::move(layers)), builder_(builder), pool_(pool) {}

  // The answer to one command.
  std::string Answer(const std::string& line) {
    StatusOr<std::string> answer = Obey(line);
    if (answer.ok()) return "ok " + *answer;
    std::string why = Message(answer.status());
    std::replace(why.begin(), why.end(), '\n', ' ');
    return "err " + why;
  }

 private:
  StatusOr<std::string> Obey(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::size_t index = 0;
    double ms = 20;
    words >> command;
    if (command != "run" && command != "check" && command != "info") {
      return Error(StatusCode::kInvalidArgument, "unknown command `", command, "`");
    }
    if (!(words >> index) || index >= layers_.size()) {
      return Error(StatusCode::kInvalidArgument, "no such layer: there are ", layers_.size());
    }
    ServedLayer& layer = layers_[index];
    RETURN_IF_ERROR(layer.task.status());
    if (command == "info") return Info(layer);
    RETURN_IF_ERROR(Prepare(layer));
    if (command == "check") return Check(layer);
    words >> ms;
    const CallTimes times = TimeCalls(*layer.kernel, std::chrono::duration<double, std::milli>(ms));
    return fmt::format("{:.3f} {:.3f} {}", times.min_us, times.median_us, times.calls);
  }

  static std::string Info(const ServedLayer& layer) {
    const ConfigSpace& space = layer.task->space();
    return fmt::format("{} {} of {}: {}", layer.stored ? "stored" : "default",
                       space.Id(layer.config), layer.task->Key(),
                       DescribeConfig(space.Labels(layer.config)));
  }

  Status Prepare(ServedLayer& layer) {
    if (layer.kernel) return absl::OkStatus();
    const Task& task = *layer.task;
    ASSIGN_OR_RETURN(const auto built, builder_.Build(task, layer.config));
    if (const auto* failure = std::get_if<BuildFailure>(&built)) {
      return Error(StatusCode::kInternal, failure->failure.message);
    }
    ASSIGN_OR_RETURN(std::unique_ptr<InProcessKernel> kernel,
                     InProcessKernel::Load(std::get<Artifact>(built), task.workload(), pool_));
    RETURN_IF_ERROR(kernel->Use(Data(task.workload(), DataSet::kUniform)));
    kernel->Call();
    layer.kernel = std::move(kernel);
    return absl::OkStatus();
  }

  static OpCase Data(const Workload& workload, DataSet set) {
    constexpr std::uint64_t kSeed = 1;
    return MakeCase(workload, set, kSeed);
  }

  // Both data sets; the one that is timed comes last and stays.
  static StatusOr<std::string> Check(ServedLayer& layer) {
    const Workload& workload = layer.task->workload();
    int worst = 0;
    std::size_t differing = 0, outputs = 0;
    for (const DataSet set : {DataSet::kEdges, DataSet::kUniform}) {
      const OpCase data = Data(workload, set);
      RETURN_IF_ERROR(layer.kernel->Use(data));
      layer.kernel->Call();
      const std::vector<std::uint8_t> wanted = RunReference(workload, data.values, data.x);
      const auto value = [&](std::uint8_t byte) {
        return workload.unsigned_activations() ? int{byte} : int{static_cast<std::int8_t>(byte)};
      };
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const int distance = std::abs(value(wanted[i]) - value(layer.kernel->y()[i]));
        worst = std::max(worst, distance);
        differing += distance != 0;
      }
      outputs += wanted.size();
    }
    return fmt::format("maxdiff {} differing {} of {}", worst, differing, outputs);
  }

  std::vector<ServedLayer> layers_;
  Builder& builder_;
  ThreadPool& pool_;
};

// With several threads, the calling one on the first core and the others on the next ones in turn:
// two of them on one core, as a busy machine has it now and then, cost a slice of the scheduler per
// barrier. PEER_PIN=0 leaves them to the scheduler, here as in the other workers.
std::vector<std::int32_t> CoresFor(std::int32_t threads) {
  std::vector<std::int32_t> cores;
  const char* pin = std::getenv("PEER_PIN");
  if (threads == 1 || (pin != nullptr && pin[0] == '0')) return cores;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

Status Serve(const Options& options) {
  ASSIGN_OR_RETURN(ServedList list, ReadList(options));
  const std::unique_ptr<Reactor> reactor = NewReactor();
  ASSIGN_OR_RETURN(const std::unique_ptr<Builder> builder, NewToolchain(*reactor, {.workers = 1}));
  std::string log, error;
  // Its threads end with the process.
  static ThreadPool* const pool =
      ThreadPool::Start(options.threads, CoresFor(options.threads), log, error).release();
  if (pool == nullptr) return Error(StatusCode::kUnavailable, error);
  WriteError(log);
  const std::string hello = Hello(options, list);
  Worker worker(std::move(list.layers), *builder, *pool);
  WriteOutputLine(hello);
  for (std::string line; FlushOutput() && std::getline(std::cin, line) && line != "quit";) {
    WriteOutputLine(worker.Answer(line));
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Times Kiln's stored best configs for a list of layers, asked line by line.");
  app.add_option("LAYERS", options.layers,
                 "the list: name,h,w,ic,oc,kh,kw,stride,pad,groups,...,act")
      ->required();
  app.add_option("THREADS", options.threads)->required()->check(CLI::Range(1, kMaxThreads));
  app.add_option("--db", options.db, "the tuning database ($KILN_DB, else in $XDG_DATA_HOME/kiln)");
  app.add_option("--target", options.target)->capture_default_str();
  AddLayerListOptions(app, options.list, "");
  CLI11_PARSE(app, argc, argv);
  const Status status = Serve(options);
  if (!status.ok()) WriteError("kiln_peer_worker: " + Message(status) + "\n");
  return FinishOutput("kiln_peer_worker", status.ok() ? 0 : 1);
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  kiln::PrepareStandardStreams();
  return kiln::Main(argc, argv);
}
