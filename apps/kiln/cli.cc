#include "apps/kiln/cli.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/command_line/command_line.h"
#include "apps/kiln/command.h"
#include "base/paths.h"
#include "base/standard_streams.h"
#include "base/version.h"
#include "models/model.h"
#include "ops/target.h"

namespace kiln {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  kiln tune --network mobilenet_v1                     tune a built-in network on this "
    "machine\n"
    "  kiln tune --model m.tflite --trials-per-task 64      tune a real one; again: goes on where "
    "it stopped\n"
    "  kiln best --model m.tflite --json                    the best configs, one JSON object per "
    "line\n"
    "  kiln verify --model m.tflite --samples 20            random and best configs against the "
    "reference\n"
    "  kiln space --workload KEY --config ID --emit c       the C of one config\n"
    "  kiln lock --model m.tflite                           the best configs as a text file to "
    "commit\n"
    "  kiln export --lock kiln.lock --prefix net --out net  as a C library that needs nothing of "
    "Kiln\n"
    "  kiln db merge team.db mine.db                        two databases as one\n"
    "  kiln daemon --config night.toml                      tune at night, what `kiln submit` asks "
    "for\n"
    "`kiln COMMAND --help` says more.";

// The commands by what they are for, as the help shows them.
struct CommandGroup {
  const char* heading;
  std::vector<void (*)(CLI::App&, Environment&)> commands;
};

const std::vector<CommandGroup>& CommandGroups() {
  static const std::vector<CommandGroup> groups = {
      {"Tune (find the fastest kernels, and check them)", {AddTune, AddBench, AddVerify, AddSpace}},
      {"Look (at what was found)",
       {AddBest, AddTop, AddReport, AddHistory, AddWorkloads, AddTargets, AddDb}},
      {"Build (link what was found)", {AddLock, AddExport}},
      {"Farm (devices on other machines)", {AddDevices}},
      {"Night (a daemon that tunes when nobody works)",
       {AddDaemon, AddSubmit, AddJobs, AddJob, AddJobWishes}}};
  return groups;
}

void AddCommands(CLI::App& app, Environment& env) {
  for (const CommandGroup& group : CommandGroups()) {
    const std::size_t before = app.get_subcommands({}).size();
    for (const auto add : group.commands) add(app, env);
    const std::vector<CLI::App*> commands = app.get_subcommands({});
    for (std::size_t i = before; i < commands.size(); ++i) commands[i]->group(group.heading);
  }
}

std::string CommandLine(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) line += (i ? " " : "") + std::string(argv[i]);
  return line;
}

// What there is to complete that no option's definition says.
CompletionWords WordsToComplete() {
  CompletionWords words{{"--network", BuiltinNetworkNames()}};
  std::vector<std::string>& targets = words["--target"] = {"native"};
  const StatusOr<std::vector<Target>> known = KnownTargets();
  if (!known.ok()) return words;
  for (const Target& target : *known) targets.push_back(target.name);
  return words;
}

}  // namespace

int RunKiln(int argc, char** argv, const TemplateRegistry& registry, const char* install_prefix) {
  PrepareStandardStreams();
  SetInstallPrefix(install_prefix);
  spdlog::set_default_logger(spdlog::stderr_color_mt("kiln"));
  spdlog::set_pattern("%^%l%$: %v");
  Environment env{registry, CommandLine(argc, argv), {}, {}, {}, {}};

  CLI::App app(
      "Kiln tunes int8 neural-network kernels: it tries thousands of schedules on real devices and "
      "keeps\n"
      "the fastest, verified bit for bit.");
  app.name("kiln");
  app.set_version_flag("--version", std::string("kiln ") + kVersion);
  app.footer(kFooter);
  app.require_subcommand(1);
  AddCommands(app, env);
  AddRunJob(app, env);
  AddSelfDescription(app, WordsToComplete);
  if (const std::optional<int> status = ParseCommandLine(app, argc, argv)) return *status;
  const StatusOr<int> status = env.action();
  return FinishOutput("kiln", status.ok() ? *status : ReportError("kiln", status.status()));
}

}  // namespace kiln
