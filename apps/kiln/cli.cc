#include "apps/kiln/cli.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "apps/kiln/command.h"
#include "base/paths.h"
#include "base/version.h"

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
    "`kiln COMMAND --help` says more.";

std::string CommandLine(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) line += (i ? " " : "") + std::string(argv[i]);
  return line;
}

// CLI11 only says that there is no command, not that the word in its place is none.
std::string WhatIsWrong(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> rest = app.remaining();
  if (app.get_subcommands().empty() && !rest.empty()) {
    return (rest[0].starts_with('-') ? "no option " : "no command ") + rest[0];
  }
  return error.what();
}

}  // namespace

int RunKiln(int argc, char** argv, const TemplateRegistry& registry, const char* install_prefix) {
  SetInstallPrefix(install_prefix);
  spdlog::set_default_logger(spdlog::stderr_color_mt("kiln"));
  spdlog::set_pattern("%^%l%$: %v");
  Environment env{registry, CommandLine(argc, argv), {}, {}, {}};

  CLI::App app(
      "Kiln tunes int8 neural-network kernels: it tries thousands of schedules on real devices and "
      "keeps\n"
      "the fastest, verified bit for bit.");
  app.name("kiln");
  app.set_version_flag("--version", std::string("kiln ") + kVersion);
  app.footer(kFooter);
  app.require_subcommand(1);
  AddTune(app, env);
  AddBest(app, env);
  AddHistory(app, env);
  AddBench(app, env);
  AddVerify(app, env);
  AddSpace(app, env);
  AddWorkloads(app, env);
  AddDevices(app, env);
  AddTargets(app, env);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "kiln: %s (see `kiln --help`)\n", WhatIsWrong(app, error).c_str());
    return 2;
  }
  const StatusOr<int> status = env.action();
  if (status.ok()) return *status;
  std::fprintf(stderr, "kiln: %s\n", Message(status.status()).c_str());
  return status.status().code() == StatusCode::kInvalidArgument ? 2 : 1;
}

}  // namespace kiln
