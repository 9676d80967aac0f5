#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/kiln/command.h"
#include "apps/kiln/config_choice.h"
#include "apps/kiln/output.h"
#include "apps/kiln/table.h"
#include "base/reactor.h"
#include "ops/target.h"
#include "ops/workload_key.h"
#include "toolchain/toolchain.h"

namespace kiln {
namespace {

struct Options {
  std::string workload;
  Where where;
  std::string config, emit, out;
  bool json = false;
};

void PrintJson(const Task& task) {
  nlohmann::json knobs = nlohmann::json::array(), rules = nlohmann::json::array();
  for (const Knob& knob : task.space().knobs()) {
    nlohmann::json labels = nlohmann::json::array();
    for (const KnobValue& value : knob.values) labels.push_back(value.label);
    knobs.push_back({{"name", knob.name}, {"values", labels}});
  }
  for (const Constraint& rule : task.space().constraints()) {
    rules.push_back({{"knobs", rule.knobs}, {"illegal_because", rule.reason}});
  }
  const Config config = task.kernel_template().Default(task.spec(), task.space());
  const nlohmann::json line = {{"workload", Key(task.workload())},
                               {"target", task.target().name},
                               {"threads", task.threads()},
                               {"template", task.kernel_template().name()},
                               {"size", task.space().size()},
                               {"default", task.space().Id(config)},
                               {"knobs", knobs},
                               {"constraints", rules}};
  WriteJson(line);
}

void PrintSpace(const Task& task) {
  WriteOutput(fmt::format("{}\n{} legal configs of template {} on {}, {} thread{}\n\n",
                          Key(task.workload()), task.space().size(), task.kernel_template().name(),
                          task.target().name, task.threads(), task.threads() == 1 ? "" : "s"));
  const Config config = task.kernel_template().Default(task.spec(), task.space());
  Table table({{"knob", Table::Align::kLeft},
               {"default", Table::Align::kLeft},
               {"values", Table::Align::kLeft}});
  for (const Knob& knob : task.space().knobs()) {
    std::string values;
    for (const KnobValue& value : knob.values) values += (values.empty() ? "" : " ") + value.label;
    table.Add({knob.name, task.space().Label(config, knob.name), values});
  }
  WriteOutput(table.Print());
  WriteOutput("\nillegal, because\n");
  for (const Constraint& rule : task.space().constraints()) {
    std::string knobs;
    for (const std::string& knob : rule.knobs) knobs += (knobs.empty() ? "" : ", ") + knob;
    WriteOutput(fmt::format("  {}  ({})\n", rule.reason, knobs));
  }
  WriteOutput(fmt::format("\ndefault config: {}   print its code with --config default --emit c\n",
                          task.space().Id(config)));
}

Status Write(const std::string& path, const std::string& bytes) {
  if (path.empty() || path == "-") {
    WriteOutput(bytes);
    return absl::OkStatus();
  }
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) return Error(StatusCode::kPermissionDenied, "cannot write ", path);
  return absl::OkStatus();
}

StatusOr<std::string> CodeOf(const Task& task, const Config& config, const std::string& emit) {
  ASSIGN_OR_RETURN(const KernelSource source, task.Emit(config));
  if (emit == "c") return source.c;
  const std::unique_ptr<Reactor> reactor = NewReactor();
  ASSIGN_OR_RETURN(const std::unique_ptr<Compiler> compiler, NewCompiler(*reactor, {.workers = 1}));
  const EmitKind kind = emit == "asm" ? EmitKind::kAssembly : EmitKind::kObject;
  ASSIGN_OR_RETURN(const auto code, compiler->Compile(JobFor(source, task.target(), kind)));
  if (const auto* failure = std::get_if<CompileFailure>(&code)) {
    return Error(StatusCode::kInternal, "the config does not compile: ", failure->message);
  }
  return std::get<CompiledCode>(code).output;
}

StatusOr<int> ShowSpace(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const Workload workload, AsUsageError(ReadWorkload(options.workload)));
  ASSIGN_OR_RETURN(const Target target, TargetOption(options.where.target));
  ASSIGN_OR_RETURN(const Task task,
                   Task::Create(env.registry, {workload, target, options.where.threads}));
  if (options.emit.empty() && options.config.empty()) {
    options.json ? PrintJson(task) : PrintSpace(task);
    return 0;
  }
  ASSIGN_OR_RETURN(const Config config,
                   FindConfig(task, options.config.empty() ? "default" : options.config));
  if (options.emit.empty()) {
    WriteOutput(fmt::format("{}  {}\n", task.space().Id(config),
                            DescribeConfig(task.space().Labels(config))));
    return 0;
  }
  ASSIGN_OR_RETURN(const std::string code, CodeOf(task, config, options.emit));
  RETURN_IF_ERROR(Write(options.out, code));
  return 0;
}

}  // namespace

void AddSpace(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand(
      "space",
      "Show the knobs, constraints and size of a workload's space, or the code of a config");
  auto options = std::make_shared<Options>();
  command->add_option("--workload", options->workload, "the workload's key")
      ->type_name("KEY")
      ->required();
  command->add_option("--target", options->where.target, "a target's name or file")
      ->capture_default_str();
  AddThreads(*command, options->where);
  command->add_option("--config", options->config, "`default`, an id, or knob=label,knob=label,...")
      ->type_name("ID");
  command->add_option("--emit", options->emit, "print the config's code")
      ->check(CLI::IsMember({"c", "asm", "object"}));
  command->add_option("-o,--out", options->out, "where to (default: standard output)")
      ->type_name("FILE");
  command->add_flag("--json", options->json, "the space as one JSON object");
  command->footer(
      "Examples:\n"
      "  kiln space --workload dense/i8/n1c1024/o1000/pc/wz0/act=none/rq=signed1/double\n"
      "  kiln space --workload KEY --config default --emit asm | less");
  command->callback(
      [&env, options] { env.action = [&env, options] { return ShowSpace(env, *options); }; });
}

}  // namespace kiln
