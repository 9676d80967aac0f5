// What would fusing two layers gain? Takes the kernels of two layers, the second reading what the
// first writes, and calls them in bands of rows: so many rows of the second, preceded by the rows
// of the first that they read. The intermediate image then stays in a nearer cache. The ABI's
// chunks are all that it needs: no kernel is compiled differently. Prints the time of each number
// of bands in proportion to calling one kernel after the other, measured in turn; every number of
// bands is first shown to give the same bytes.
//
// usage: benchmark_fused_pair FIRST_KEY SECOND_KEY [--db FILE] [--bands 1,2,4,...] [--rounds N]

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "apps/kiln/config_choice.h"
#include "apps/kiln/stored.h"
#include "base/reactor.h"
#include "benchmarks/in_process_kernel.h"
#include "ops/workload_key.h"
#include "toolchain/toolchain.h"

namespace kiln {
namespace {

struct Options {
  std::vector<std::string> keys;
  std::string db;
  std::vector<std::int32_t> bands = {1, 2, 4, 7, 14, 28};
  std::int32_t rounds = 400;
};

// A kernel whose chunks come in the order of its output's rows.
struct Stage {
  Workload workload;
  std::string config;
  std::unique_ptr<InProcessKernel> kernel;

  std::uint32_t chunks() const { return kernel->info().chunks[0]; }
  // The chunks that compute all rows before `row`. The last tile of a column may overlap its
  // neighbour: it is asked for whenever a row near the end is.
  std::uint32_t ChunksBefore(std::int32_t row) const {
    const double share = static_cast<double>(row) / workload.out_h();
    const auto whole = static_cast<std::uint32_t>(share * chunks() + 0.999) + chunks_per_tile;
    return row >= workload.out_h() ? chunks() : std::min(whole, chunks());
  }
  std::uint32_t chunks_per_tile = 1;
};

StatusOr<Stage> MakeStage(const std::string& key, const Options& options, Builder& builder,
                          ThreadPool& pool) {
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  ASSIGN_OR_RETURN(const Workload workload, ParseWorkload(key));
  ASSIGN_OR_RETURN(const Target target, FindTarget("native"));
  ASSIGN_OR_RETURN(const Task task, Task::Create(registry, {workload, target, 1}));
  std::string path = options.db;
  if (path.empty()) {
    ASSIGN_OR_RETURN(path, DefaultDatabasePath());
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store,
                   OpenSqliteStore(path, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const std::optional<Config> best, StoredConfig(*store, task, CacheState::kHot));
  const Config config = best ? *best : task.kernel_template().Default(task.spec(), task.space());
  ASSIGN_OR_RETURN(const auto built, builder.Build(task, config));
  if (const auto* failure = std::get_if<BuildFailure>(&built)) {
    return Error(StatusCode::kInternal, failure->failure.message);
  }
  Stage stage{
      .workload = workload,
      .config = (best ? "stored " : "default ") + DescribeConfig(task.space().Labels(config)),
      .kernel = nullptr};
  ASSIGN_OR_RETURN(stage.kernel, InProcessKernel::Load(std::get<Artifact>(built), workload, pool));
  RETURN_IF_ERROR(stage.kernel->Use(MakeCase(workload, DataSet::kUniform, 1)));
  if (stage.kernel->info().n_phases != 1) {
    return Error(StatusCode::kFailedPrecondition, key, ": ", stage.config,
                 " has several phases; only kernels of one can be called in bands");
  }
  stage.chunks_per_tile = (stage.chunks() + static_cast<std::uint32_t>(workload.out_h()) - 1) /
                          static_cast<std::uint32_t>(workload.out_h());
  return stage;
}

// Rows of x that the first `rows` rows of the output read.
std::int32_t RowsRead(const Workload& w, std::int32_t rows) {
  const std::int32_t last = (rows - 1) * w.stride_h + (w.kh - 1) * w.dilation_h - w.pad_top;
  return std::clamp(last + 1, 0, w.h);
}

void CallInBands(Stage& first, Stage& second, std::int32_t bands) {
  std::uint32_t first_done = 0, second_done = 0;
  const std::int32_t height = second.workload.out_h();
  for (std::int32_t band = 1; band <= bands; ++band) {
    // All but the last tile of the second that may still read rows that are not there yet.
    const auto share = static_cast<std::uint32_t>(static_cast<std::uint64_t>(second.chunks()) *
                                                  static_cast<std::uint64_t>(band) /
                                                  static_cast<std::uint64_t>(bands));
    const std::int32_t rows =
        band == bands
            ? height
            : std::min(height, static_cast<std::int32_t>(static_cast<std::uint64_t>(share) *
                                                         height / second.chunks()) +
                                   4);
    const std::uint32_t needed = first.ChunksBefore(RowsRead(second.workload, rows));
    if (needed > first_done) first.kernel->CallChunks(first_done, needed);
    first_done = std::max(first_done, needed);
    second.kernel->CallChunks(second_done, share);
    second_done = share;
  }
}

double MicrosecondsOf(Stage& first, Stage& second, std::int32_t bands) {
  const auto start = std::chrono::steady_clock::now();
  CallInBands(first, second, bands);
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

Status Run(const Options& options) {
  const std::unique_ptr<Reactor> reactor = NewReactor();
  ASSIGN_OR_RETURN(const std::unique_ptr<Builder> builder, NewToolchain(*reactor, {.workers = 1}));
  std::string log, error;
  static ThreadPool* const pool =
      ThreadPool::Start(1, {}, log, error).release();  // ends with the process
  if (pool == nullptr) return Error(StatusCode::kUnavailable, error);
  ASSIGN_OR_RETURN(Stage first, MakeStage(options.keys[0], options, *builder, *pool));
  ASSIGN_OR_RETURN(Stage second, MakeStage(options.keys[1], options, *builder, *pool));
  if (first.kernel->info().y_bytes != second.kernel->info().x_bytes) {
    return Error(StatusCode::kInvalidArgument, "the first writes ", first.kernel->info().y_bytes,
                 " bytes, the second reads ", second.kernel->info().x_bytes);
  }
  fmt::print("first:  {}\n        {}\nsecond: {}\n        {}\nbetween: {} KiB\n", options.keys[0],
             first.config, options.keys[1], second.config, first.kernel->y().size() / 1024);
  second.kernel->ReadFrom(first.kernel->y());
  CallInBands(first, second, 1);
  const std::vector<std::uint8_t> wanted(second.kernel->y().begin(), second.kernel->y().end());
  for (const std::int32_t bands : options.bands) {
    first.kernel->ClearOutput();
    second.kernel->ClearOutput();
    CallInBands(first, second, bands);
    if (!std::ranges::equal(second.kernel->y(), wanted)) {
      return Error(StatusCode::kFailedPrecondition, bands,
                   " bands give other bytes: the chunks are not in the order of rows");
    }
  }
  std::vector<double> best(options.bands.size(), std::numeric_limits<double>::infinity());
  for (std::int32_t round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < best.size(); ++i) {
      best[i] = std::min(best[i], MicrosecondsOf(first, second, options.bands[i]));
    }
  }
  for (std::size_t i = 0; i < best.size(); ++i) {
    fmt::print("{:>3} bands: {:8.2f} us, {:.3f}x\n", options.bands[i], best[i], best[0] / best[i]);
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Times two layers in bands of rows against one after the other.");
  app.add_option("KEYS", options.keys, "the two workloads")->required()->expected(2);
  app.add_option("--db", options.db, "the tuning database ($KILN_DB, else in $XDG_DATA_HOME/kiln)");
  app.add_option("--bands", options.bands, "the first is what the others are compared with")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000));
  app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 1000000));
  CLI11_PARSE(app, argc, argv);
  const Status status = Run(options);
  if (status.ok()) return 0;
  fmt::print(stderr, "benchmark_fused_pair: {}\n", Message(status));
  return 1;
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) { return kiln::Main(argc, argv); }
