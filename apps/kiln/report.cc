#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <system_error>
#include <utility>

#include "apps/kiln/command.h"
#include "base/duration.h"
#include "base/shell_word.h"
#include "base/standard_streams.h"
#include "base/write_file.h"
#include "dashboard/dashboard.h"
#include "dashboard/report_page.h"
#include "db/job_store.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

struct Options {
  What what;
  std::string since = "24h", out;
};

std::int64_t SizeOf(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

// As the command line said it.
std::string WhatWords(const What& what) {
  if (!what.model.empty()) return "--model " + ShellWord(what.model);
  if (!what.network.empty()) return "--network " + ShellWord(what.network);
  if (!what.layers.empty()) return "--layers " + ShellWord(what.layers);
  std::string words;
  for (const std::string& workload : what.workloads) words += " " + ShellWord(workload);
  return words.empty() ? "" : "--workload" + words;
}

StatusOr<DashboardScope> ScopeOf(const Environment& env, const Options& options, WallTime now) {
  DashboardScope scope;
  scope.now_ms = ToUnixMs(now);
  ASSIGN_OR_RETURN(const WallTime since, ParseSince(options.since, now));
  scope.since_ms = ToUnixMs(since);
  if (options.what.any()) {
    ASSIGN_OR_RETURN(scope.network, Resolve(options.what));
    RETURN_IF_ERROR(CheckHasLayers(*scope.network));
  }
  scope.what = WhatWords(options.what);
  if (!env.db.empty()) scope.db = "--db " + ShellWord(env.db);
  return scope;
}

StatusOr<std::string> MakeReport(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(DashboardScope scope, ScopeOf(env, options, SystemClock().Today()));
  ASSIGN_OR_RETURN(const std::string path, DatabasePath(env));
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store,
                   OpenSqliteStore(path, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const std::unique_ptr<TrialStatistics> statistics, OpenSqliteStatistics(path));
  ASSIGN_OR_RETURN(const std::unique_ptr<JobStore> jobs,
                   OpenSqliteJobStore(path, OpenMode::kReadOnly));
  const DashboardSources sources{*store, *statistics, env.registry, NewTargetLookup()};
  const StoreFile file{.path = path, .bytes = SizeOf(path), .log_bytes = SizeOf(path + "-wal")};
  ASSIGN_OR_RETURN(const Dashboard dashboard,
                   ReadDashboard(sources, jobs.get(), file, std::move(scope)));
  return RenderReport(dashboard);
}

StatusOr<int> Report(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const std::string page, MakeReport(env, options));
  if (options.out == "-") {
    WriteOutput(page);
    return 0;
  }
  RETURN_IF_ERROR(ReplaceFile(options.out, page));
  WriteOutput(fmt::format("{}: {} bytes\n", options.out, page.size()));
  return 0;
}

}  // namespace

void AddReport(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand(
      "report", "Write what the database knows as one HTML page that needs nothing else");
  auto options = std::make_shared<Options>();
  AddWhat(*command, options->what);
  AddDatabase(*command, env);
  command
      ->add_option("--since", options->since,
                   "what came later is new: 8h (ago), 22:00, 2026-11-26, \"2026-11-26 22:00\"")
      ->check(CheckSince)
      ->type_name("TIME")
      ->capture_default_str();
  command->add_option("-o,--out", options->out, "the page; - is standard output")
      ->type_name("FILE.html")
      ->required();
  command->footer(
      "Without a network: all that the database has, each workload once.\n"
      "Examples:\n"
      "  kiln report --network mobilenet_v1 --out report.html\n"
      "  kiln report --since 22:00 --out night.html\n"
      "  kiln report --db team.db --since 2026-11-20 --out - | gzip > report.html.gz");
  command->callback(
      [&env, options] { env.action = [&env, options] { return Report(env, *options); }; });
}

}  // namespace kiln
