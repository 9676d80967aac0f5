#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "apps/kiln/command.h"
#include "apps/kiln/emulation.h"
#include "apps/kiln/output.h"
#include "apps/kiln/table.h"
#include "ops/target.h"

namespace kiln {
namespace {

std::string Features(const Target& target) {
  std::string text;
  for (const std::string& name : Names(target.isa)) text += (text.empty() ? "" : ",") + name;
  return text.empty() ? "-" : text;
}

// "yes"; "emulated"; "no".
std::string RunsHere(const Target& native, const Target& target) {
  if (CanRun(native, target)) return "yes";
  const StatusOr<std::optional<Emulator>> emulator = EmulatorFor(target);
  return emulator.ok() && *emulator ? "emulated" : "no";
}

nlohmann::json ToJson(const Target& target, const std::string& runs_here, const char* name) {
  return {{"name", name},
          {"resolved", target.name},
          {"arch", target.arch},
          {"cpu", target.cpu},
          {"features", Names(target.isa)},
          {"cores", target.cores},
          {"l1", target.l1_bytes},
          {"l2", target.l2_bytes},
          {"l3", target.l3_bytes},
          {"runs_here", runs_here == "yes"},
          {"emulated", runs_here == "emulated"},
          {"summary", target.summary}};
}

StatusOr<int> ListTargets(bool json) {
  ASSIGN_OR_RETURN(const Target native, DetectNative());
  ASSIGN_OR_RETURN(const std::vector<Target> known, KnownTargets());
  if (json) {
    WriteJson(ToJson(native, "yes", "native"));
    for (const Target& t : known) WriteJson(ToJson(t, RunsHere(native, t), t.name.c_str()));
    return 0;
  }
  using A = Table::Align;
  Table table({{"name", A::kLeft},
               {"cpu", A::kLeft},
               {"features", A::kLeft},
               {"cores"},
               {"L1"},
               {"L2"},
               {"L3"},
               {"runs here", A::kLeft},
               {"", A::kLeft}});
  const auto add = [&](const Target& t, const std::string& runs, const std::string& name) {
    table.Add({name, t.cpu, Features(t), std::to_string(t.cores),
               fmt::format("{}K", t.l1_bytes >> 10), fmt::format("{}K", t.l2_bytes >> 10),
               fmt::format("{}K", t.l3_bytes >> 10), runs, t.summary});
  };
  add(native, "yes", "native = " + native.name);
  for (const Target& t : known) add(t, RunsHere(native, t), t.name);
  WriteOutput(table.Print());
  return 0;
}

}  // namespace

void AddTargets(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("targets", "List the known targets and what `native` is here");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "one object per line");
  command->footer(
      "Examples:\n"
      "  kiln targets --json");
  command->callback([&env, json] { env.action = [json] { return ListTargets(*json); }; });
}

}  // namespace kiln
