#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/kiln/command.h"
#include "apps/kiln/table.h"
#include "ops/requantize_form.h"

namespace kiln {
namespace {

struct Options {
  What what;
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
      std::puts(line.dump().c_str());
    }
    table.Add(
        {layer.name, Describe(layer.workload), std::string(Name(layer.workload.rq)), channels});
  }
  if (json) return 0;
  std::fputs(table.Print().c_str(), stdout);
  fmt::print("{}:", network.name);
  for (const auto& [form, count] : layers) fmt::print(" {} layers {}", count, Name(form));
  fmt::print("\n");
  return 0;
}

StatusOr<int> ListWorkloads(const Options& options) {
  ASSIGN_OR_RETURN(const Network network, Resolve(options.what));
  if (options.forms) return ListForms(network, options.json);
  const std::vector<WeightedWorkload> workloads = UniqueWorkloads(network);
  if (options.json) {
    for (const WeightedWorkload& unique : workloads) {
      const nlohmann::json line = {{"workload", Key(unique.workload)},
                                   {"count", unique.count},
                                   {"macs", unique.workload.macs()},
                                   {"layers", unique.layers}};
      std::puts(line.dump().c_str());
    }
    return 0;
  }
  Table table(
      {{"layer", Table::Align::kLeft}, {"count"}, {"MMACs"}, {"workload", Table::Align::kLeft}});
  double macs = 0;
  for (const WeightedWorkload& unique : workloads) {
    const double each = static_cast<double>(unique.workload.macs()) / 1e6;
    macs += each * unique.count;
    table.Add({Describe(unique.workload), std::to_string(unique.count), fmt::format("{:.2f}", each),
               Key(unique.workload)});
  }
  std::fputs(table.Print().c_str(), stdout);
  fmt::print("{}: {} layers, {} unique workloads, {:.2f} MMACs\n", network.name,
             network.layers.size(), workloads.size(), macs);
  for (const auto& [op, count] : network.skipped) fmt::print("not tuned: {} x {}\n", count, op);
  return 0;
}

}  // namespace

void AddWorkloads(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("workloads", "List the unique workloads of a network");
  auto options = std::make_shared<Options>();
  AddWhat(*command, options->what);
  command->add_flag("--forms", options->forms,
                    "of a model: the requantize form of each layer, and of its channels alone");
  command->add_flag("--json", options->json, "one object per line");
  command->callback(
      [&env, options] { env.action = [options] { return ListWorkloads(*options); }; });
}

}  // namespace kiln
