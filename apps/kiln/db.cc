#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/command_line/command_line.h"
#include "apps/kiln/command.h"
#include "apps/kiln/output.h"
#include "base/read_file.h"
#include "base/write_file.h"
#include "db/database_tools.h"

namespace kiln {
namespace {

struct Options {
  std::string file, format, into;
  std::vector<std::string> from;
  bool force = false, yes = false, json = false;
};

using Counts = std::map<std::string, std::int64_t>;

// "36 ok, 8 timeout".
std::string Join(const Counts& counts) {
  std::string text;
  for (const auto& [name, count] : counts) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name);
  }
  return text.empty() ? "none" : text;
}

std::int64_t Sum(const Counts& counts) {
  std::int64_t sum = 0;
  for (const auto& [name, count] : counts) sum += count;
  return sum;
}

// ---- merge, and import of jsonl

void Print(const MergeCount& count, const std::string& into, bool json) {
  if (json) {
    WriteJson(nlohmann::json{{"trials", count.trials},
                             {"measurements", count.measurements},
                             {"peaks", count.peaks},
                             {"imported_lines", count.lines},
                             {"known_measurements", count.known_measurements}});
    return;
  }
  WriteOutput(fmt::format(
      "{}: {} trials, {} measurements, {} peaks and {} imported lines are new; {} "
      "measurements were there already\n",
      into, count.trials, count.measurements, count.peaks, count.lines, count.known_measurements));
}

StatusOr<int> Merge(const Options& options) {
  ASSIGN_OR_RETURN(const MergeCount count, MergeDatabases(options.into, options.from));
  Print(count, options.into, options.json);
  return 0;
}

// ---- import and export

nlohmann::json ToJson(const AutotvmCount& count) {
  nlohmann::json damaged = nlohmann::json::array();
  for (const auto& [line, why] : count.damaged) damaged.push_back({{"line", line}, {"why", why}});
  return {{"lines", count.lines},
          {"comments", count.comments},
          {"own", count.own},
          {"foreign", count.foreign},
          {"damaged", damaged}};
}

// "46 lines: 0 of Kiln's templates, 46 foreign, 0 comments, 0 damaged".
std::string Summary(const AutotvmCount& count) {
  std::int64_t foreign = 0;
  for (const auto& [task, statuses] : count.foreign) foreign += Sum(statuses);
  return fmt::format("{} lines: {} of Kiln's templates, {} foreign, {} comments, {} damaged",
                     count.lines, Sum(count.own), foreign, count.comments, count.damaged.size());
}

void PrintDetails(const AutotvmCount& count) {
  constexpr std::size_t kNamed = 10;
  if (!count.own.empty()) {
    WriteOutput(fmt::format("  of Kiln's templates, never a best: {}\n", Join(count.own)));
  }
  for (const auto& [task, statuses] : count.foreign) {
    WriteOutput(fmt::format("  {}: no template of Kiln: {}\n", task, Join(statuses)));
  }
  for (std::size_t i = 0; i < std::min(kNamed, count.damaged.size()); ++i) {
    const auto& [line, why] = count.damaged[i];
    WriteOutput(fmt::format("  line {} is damaged: {}\n", line, why));
  }
  if (count.damaged.size() > kNamed) {
    WriteOutput(fmt::format("  and {} more are damaged\n", count.damaged.size() - kNamed));
  }
}

void Print(const AutotvmCount& count, const std::string& file, bool json) {
  if (json) {
    nlohmann::json line = ToJson(count);
    line["known"] = count.known;
    WriteJson(line);
    return;
  }
  WriteOutput(
      fmt::format("{}: {}; {} of all were here already\n", file, Summary(count), count.known));
  PrintDetails(count);
}

StatusOr<int> Import(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const std::string database, DatabasePath(env));
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(options.file));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (options.format == "autotvm") {
    ASSIGN_OR_RETURN(const AutotvmCount count, ImportAutotvm(database, text, options.file));
    Print(count, options.file, options.json);
  } else {
    ASSIGN_OR_RETURN(const MergeCount count, ImportJsonl(database, text, options.file));
    Print(count, database, options.json);
  }
  return 0;
}

// To a file, or "-": standard output.
Status Write(const Options& options, const std::string& text) {
  if (options.file == "-") {
    WriteOutput(text);
    return {};
  }
  std::error_code ignored;
  if (!options.force && std::filesystem::exists(options.file, ignored)) {
    return Error(StatusCode::kAlreadyExists, options.file,
                 " is there already: name another file, or --force");
  }
  return ReplaceFile(options.file, text);
}

StatusOr<int> Export(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const std::string database, DatabasePath(env));
  if (options.format == "jsonl") {
    ASSIGN_OR_RETURN(const std::string text, ExportJsonl(database));
    RETURN_IF_ERROR(Write(options, text));
    return 0;
  }
  ASSIGN_OR_RETURN(const AutotvmExport log, ExportAutotvm(database));
  RETURN_IF_ERROR(Write(options, log.text));
  WriteError(fmt::format("note: {} imported lines as they came, {} measurements of Kiln's own\n",
                         log.imported, log.own));
  if (log.inexpressible > 0) {
    WriteError(
        fmt::format("note: {} measurements are left out: v0.2 has no place for cut off, "
                    "emulated and estimated ones; --format jsonl has\n",
                    log.inexpressible));
  }
  return 0;
}

// ---- care

StatusOr<int> Check(const Environment& env) {
  ASSIGN_OR_RETURN(const std::string database, DatabasePath(env));
  ASSIGN_OR_RETURN(const std::vector<std::string> faults, CheckDatabase(database));
  for (const std::string& fault : faults) WriteOutput(fmt::format("{}: {}\n", database, fault));
  if (faults.empty()) {
    WriteOutput(database + ": nothing is wrong\n");
    return 0;
  }
  return kFailureStatus;
}

StatusOr<int> BackUp(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const std::string database, DatabasePath(env));
  RETURN_IF_ERROR(BackUpDatabase(database, options.file, options.force));
  ASSIGN_OR_RETURN(const DatabaseCounts counts, CountDatabase(options.file));
  WriteOutput(fmt::format("{}: {} trials, {} measurements, {} kB\n", options.file, counts.trials,
                          counts.measurements, counts.bytes / 1000));
  return 0;
}

StatusOr<int> ShowStats(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const std::string database, DatabasePath(env));
  ASSIGN_OR_RETURN(const DatabaseCounts counts, CountDatabase(database));
  if (options.json) {
    WriteJson(nlohmann::json{{"file", database},
                             {"bytes", counts.bytes},
                             {"schema", counts.schema},
                             {"tasks", counts.tasks},
                             {"trials", counts.trials},
                             {"measurements", counts.measurements},
                             {"sessions", counts.sessions},
                             {"peaks", counts.peaks},
                             {"imported", ToJson(counts.imported)},
                             {"targets", counts.targets},
                             {"devices", counts.devices},
                             {"statuses", counts.statuses},
                             {"jobs", counts.jobs}});
    return 0;
  }
  WriteOutput(fmt::format(
      "{}: {} kB, schema {}\n{} tasks, {} trials, {} measurements, {} sessions, {} peaks\n"
      "trials by target: {}\nmeasurements by device: {}\nmeasurements by status: {}\n",
      database, counts.bytes / 1000, counts.schema, counts.tasks, counts.trials,
      counts.measurements, counts.sessions, counts.peaks, Join(counts.targets),
      Join(counts.devices), Join(counts.statuses)));
  if (!counts.jobs.empty()) WriteOutput("jobs by state: " + Join(counts.jobs) + "\n");
  if (counts.imported.lines > 0) {
    WriteOutput("imported " + Summary(counts.imported) + "\n");
    PrintDetails(counts.imported);
  }
  return 0;
}

StatusOr<int> CollectGarbage(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const std::string database, DatabasePath(env));
  ASSIGN_OR_RETURN(const Garbage garbage,
                   options.yes ? RemoveGarbage(database) : FindGarbage(database));
  WriteOutput(fmt::format(
      "{}: {} {} tasks and {} sessions without trials, and {} kB of free "
      "space{}\n",
      database, options.yes ? "removed" : "would remove", garbage.tasks, garbage.sessions,
      garbage.free_bytes / 1000, options.yes ? "" : "; --yes does it"));
  return 0;
}

// ---- the command line

void AddDbMerge(CLI::App& db, Environment& env) {
  auto* command = db.add_subcommand("merge", "Add all that other databases have to one");
  auto options = std::make_shared<Options>();
  command->add_option("INTO", options->into, "the database that grows; made if it is missing")
      ->required();
  command->add_option("FROM", options->from, "databases that are read")->required();
  command->add_flag("--json", options->json, "what was added, as one JSON object");
  command->footer(
      "Every measurement is kept, once; another device's of the same config is a further one. The\n"
      "order of the databases does not matter, merging again changes nothing, and an error leaves "
      "INTO\nas it was.\n"
      "Examples:\n"
      "  kiln db merge team.db alice.db bob.db");
  command->callback([&env, options] { env.action = [options] { return Merge(*options); }; });
}

void AddFormat(CLI::App& command, Options& options) {
  command.add_option("--format", options.format, "autotvm (v0.2 log) or jsonl (all there is)")
      ->check(CLI::IsMember({"autotvm", "jsonl"}))
      ->required();
}

void AddDbImport(CLI::App& db, Environment& env) {
  auto* command = db.add_subcommand("import", "Read a log of AutoTVM, or what Kiln exported");
  auto options = std::make_shared<Options>();
  AddFormat(*command, *options);
  command->add_option("FILE", options->file, "the log")->required();
  command->add_flag("--json", options->json, "what became of it, as one JSON object");
  AddDatabase(*command, env);
  command->footer(
      "Lines of AutoTVM are kept as they are and counted by what they say; they are never a best.\n"
      "What `export --format jsonl` wrote is merged, as `kiln db merge` does it.\n"
      "Examples:\n"
      "  kiln db import --format autotvm tune.log\n"
      "  kiln db import --format jsonl all.jsonl --db new.db");
  command->callback(
      [&env, options] { env.action = [&env, options] { return Import(env, *options); }; });
}

void AddDbExport(CLI::App& db, Environment& env) {
  auto* command = db.add_subcommand("export", "Write trials as a log for other programs");
  auto options = std::make_shared<Options>();
  AddFormat(*command, *options);
  command->add_option("FILE", options->file, "the log to make; -: standard output")->required();
  command->add_flag("--force", options->force, "replace FILE");
  AddDatabase(*command, env);
  command->footer(
      "autotvm: imported lines byte for byte, then Kiln's own measured trials as v0.2 lines.\n"
      "jsonl: a JSON object a line, with nothing left out; importing it gives an equal database.\n"
      "Examples:\n"
      "  kiln db export --format jsonl all.jsonl\n"
      "  kiln db export --format autotvm - | head");
  command->callback(
      [&env, options] { env.action = [&env, options] { return Export(env, *options); }; });
}

void AddDbCheck(CLI::App& db, Environment& env) {
  auto* command = db.add_subcommand("check", "Look for damage; exit status 1 if there is some");
  AddDatabase(*command, env);
  command->footer("Examples:\n  kiln db check --db tuning.db");
  command->callback([&env] { env.action = [&env] { return Check(env); }; });
}

void AddDbBackup(CLI::App& db, Environment& env) {
  auto* command =
      db.add_subcommand("backup", "Copy the database, of one moment, while others write");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file, "the copy to make")->required();
  command->add_flag("--force", options->force, "replace FILE");
  AddDatabase(*command, env);
  command->footer("Examples:\n  kiln db backup tuning-monday.db");
  command->callback(
      [&env, options] { env.action = [&env, options] { return BackUp(env, *options); }; });
}

void AddDbStats(CLI::App& db, Environment& env) {
  auto* command = db.add_subcommand("stats", "What a database holds");
  auto options = std::make_shared<Options>();
  command->add_flag("--json", options->json, "as one JSON object");
  AddDatabase(*command, env);
  command->footer("Examples:\n  kiln db stats\n  kiln db stats --json --db team.db");
  command->callback(
      [&env, options] { env.action = [&env, options] { return ShowStats(env, *options); }; });
}

void AddDbGc(CLI::App& db, Environment& env) {
  auto* command = db.add_subcommand("gc", "Give back space; no trial ever goes");
  auto options = std::make_shared<Options>();
  command->add_flag("--yes", options->yes, "do it, instead of saying what would go");
  AddDatabase(*command, env);
  command->footer("Examples:\n  kiln db gc\n  kiln db gc --yes");
  command->callback(
      [&env, options] { env.action = [&env, options] { return CollectGarbage(env, *options); }; });
}

}  // namespace

void AddDb(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("db", "Merge, copy, check and exchange tuning databases");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n"
      "  kiln db stats                                   what there is\n"
      "  kiln db merge team.db alice.db bob.db           several databases as one\n"
      "  kiln db backup tuning-monday.db                 a copy, also while a tuner runs\n"
      "  kiln db import --format autotvm tune.log        lines of AutoTVM, kept as they are\n"
      "`kiln db COMMAND --help` says more; docs/store.md has the formats.");
  AddDbMerge(*command, env);
  AddDbImport(*command, env);
  AddDbExport(*command, env);
  AddDbCheck(*command, env);
  AddDbBackup(*command, env);
  AddDbStats(*command, env);
  AddDbGc(*command, env);
}

}  // namespace kiln
