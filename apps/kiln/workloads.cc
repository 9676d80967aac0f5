#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/kiln/command.h"
#include "apps/kiln/table.h"

namespace kiln {
namespace {

struct Options {
  What what;
  bool json = false;
};

StatusOr<int> ListWorkloads(const Options& options) {
  ASSIGN_OR_RETURN(const Network network, Resolve(options.what));
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
  command->add_flag("--json", options->json, "one object per line");
  command->callback(
      [&env, options] { env.action = [options] { return ListWorkloads(*options); }; });
}

}  // namespace kiln
