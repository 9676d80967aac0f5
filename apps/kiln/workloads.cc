#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/kiln/command.h"
#include "apps/kiln/output.h"
#include "apps/kiln/table.h"
#include "ops/requantize_form.h"

namespace kiln {
namespace {

struct Options {
  What what;
  std::string target = "native";
  bool forms = false, json = false;
};

// Per layer with values: the form that all its channels admit, and which each alone would.
int ListForms(const Network& network, bool json) {
  Table table({{"layer", Table::Align::kLeft},
               {"operator", Table::Align::kLeft},
               {"form", Table::Align::kLeft},
               {"channels", Table::Align::kLeft}});
  std::map<RequantizeForm, std::int32_t> layers;
  for (const Layer& layer : network.layers) {
    if (!layer.values) continue;
    ++layers[layer.workload.rq];
    std::string channels;
    nlohmann::json counts;
    for (const auto& [form, count] : ChannelForms(layer.workload, *layer.values)) {
      channels += fmt::format("{}{} {}", channels.empty() ? "" : ", ", count, Name(form));
      counts[std::string(Name(form))] = count;
    }
    if (json) {
      const nlohmann::json line = {{"layer", layer.name},
                                   {"workload", Key(layer.workload)},
                                   {"form", std::string(Name(layer.workload.rq))},
                                   {"channels", counts}};
      WriteJson(line);
    }
    table.Add(
        {layer.name, Describe(layer.workload), std::string(Name(layer.workload.rq)), channels});
  }
  if (json) return 0;
  WriteOutput(table.Print());
  WriteOutput(fmt::format("{}:", network.name));
  for (const auto& [form, count] : layers)
    WriteOutput(fmt::format(" {} layers {}", count, Name(form)));
  WriteOutput("\n");
  return 0;
}

// Null for none.
nlohmann::json NameOf(const StatusOr<std::shared_ptr<const KernelTemplate>>& found) {
  return found.ok() ? nlohmann::json((*found)->name()) : nlohmann::json();
}

StatusOr<int> ListWorkloads(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const Network network, Resolve(options.what));
  if (options.forms) return ListForms(network, options.json);
  ASSIGN_OR_RETURN(const Target target, TargetOption(options.target));
  const auto template_for = [&](const Workload& workload) {
    return env.registry.For({workload, target, 1});
  };
  const std::vector<WeightedWorkload> workloads = UniqueWorkloads(network);
  if (options.json) {
    for (const WeightedWorkload& unique : workloads) {
      const nlohmann::json line = {{"workload", Key(unique.workload)},
                                   {"count", unique.count},
                                   {"macs", unique.workload.macs()},
                                   {"layers", unique.layers},
                                   {"template", NameOf(template_for(unique.workload))}};
      WriteJson(line);
    }
    return 0;
  }
  Table table(
      {{"layer", Table::Align::kLeft}, {"count"}, {"MMACs"}, {"workload", Table::Align::kLeft}});
  double macs = 0;
  std::vector<std::string> without;  // a template
  for (const WeightedWorkload& unique : workloads) {
    const double each = static_cast<double>(unique.workload.macs()) / 1e6;
    macs += each * unique.count;
    if (const auto found = template_for(unique.workload); !found.ok()) {
      without.push_back(Message(found.status()));
    }
    table.Add({Describe(unique.workload), std::to_string(unique.count), fmt::format("{:.2f}", each),
               Key(unique.workload)});
  }
  if (!table.empty()) WriteOutput(table.Print());
  WriteOutput(fmt::format("{}: {} layers, {} unique workloads, {:.2f} MMACs\n", network.name,
                          network.layers.size(), workloads.size(), macs));
  for (const std::string& why : without) WriteOutput(fmt::format("not tuned: {}\n", why));
  for (const auto& [op, count] : network.skipped)
    WriteOutput(fmt::format("not tuned: {} x {}\n", count, op));
  return 0;
}

}  // namespace

void AddWorkloads(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("workloads", "List the unique workloads of a network");
  auto options = std::make_shared<Options>();
  AddWhat(*command, options->what);
  command->add_option("--target", options->target, "whose templates: a target's name, or a file")
      ->capture_default_str();
  command->add_flag("--forms", options->forms,
                    "of a model: the requantize form of each layer, and of its channels alone");
  command->add_flag("--json", options->json, "one object per line");
  command->footer(
      "Examples:\n"
      "  kiln workloads --network mobilenet_v2\n"
      "  kiln workloads --model m.tflite --json");
  command->callback(
      [&env, options] { env.action = [&env, options] { return ListWorkloads(env, *options); }; });
}

}  // namespace kiln
