#include "apps/kiln/verify_cases.h"

#include <fmt/format.h>

#include <utility>

#include "base/digest.h"
#include "base/rng.h"
#include "ops/reference.h"

namespace kiln {
namespace {

RunCase CaseOf(const OpValues& values, std::vector<std::uint8_t> x,
               const std::vector<std::uint8_t>& y) {
  RunCase run;
  run.explicit_case = std::make_shared<OpCase>(OpCase{values, std::move(x)});
  run.expected_digest = Digest(y.data(), y.size());
  return run;
}

}  // namespace

std::vector<RunCase> CasesWithValues(const Layer& layer, std::uint64_t seed) {
  const Workload& w = layer.workload;
  const auto size = static_cast<std::size_t>(w.x_bytes());
  Rng rng(seed ^ Digest(layer.name));
  std::vector<std::uint8_t> random(size), ends(size);
  for (std::uint8_t& byte : random) byte = static_cast<std::uint8_t>(rng.Next());
  for (std::uint8_t& byte : ends)
    byte = static_cast<std::uint8_t>(rng.Next() & 1 ? w.qmax() : w.qmin());
  std::vector<RunCase> cases;
  for (std::vector<std::uint8_t>* x : {&random, &ends}) {
    const std::vector<std::uint8_t> y = RunReference(w, *layer.values, *x);
    cases.push_back(CaseOf(*layer.values, std::move(*x), y));
  }
  return cases;
}

StatusOr<GoldenWalk> GoldenWalk::Open(const std::string& model,
                                      const std::string& golden_directory) {
  GoldenWalk walk;
  ASSIGN_OR_RETURN(walk.golden_, ReadGolden(golden_directory));
  for (const GoldenCase& golden_case : walk.golden_.cases) {
    ASSIGN_OR_RETURN(std::unique_ptr<GraphExecutor> graph, LoadGraph(model));
    RETURN_IF_ERROR(graph->SetInput(golden_case.input));
    walk.graphs_.push_back(std::move(graph));
  }
  if (walk.graphs_.empty())
    return Error(StatusCode::kInvalidArgument, golden_directory, " has no cases");
  ASSIGN_OR_RETURN(walk.matches_, MatchGolden(walk.golden_, *walk.graphs_[0]));
  return walk;
}

// Computes the operator of one record in one case and, if Kiln tunes it, adds its case. Returns why
// it is unreached, or nothing.
std::string GoldenWalk::Compute(std::size_t record, std::size_t c, std::vector<RunCase>& cases) {
  const std::size_t op = matches_[record].op;
  GraphExecutor& graph = *graphs_[c];
  const std::optional<std::size_t> layer = graph.ops()[op].layer;
  std::vector<std::uint8_t> input;
  if (layer) {
    const auto x = graph.InputOf(op);
    if (!x.ok()) return Message(x.status());
    input.assign(x->begin(), x->end());
  }
  const auto output = graph.Run(op);
  if (!output.ok()) return Message(output.status());
  if (Crc32(*output) != golden_.cases[c].op_crc32[record]) {
    return "the reference output differs from the recording";
  }
  if (layer) {
    cases.push_back(CaseOf(*graph.network().layers[*layer].values, std::move(input),
                           {output->begin(), output->end()}));
  }
  return "";
}

// Takes the operator of one record forward in every case. Returns why it is unreached in some, or
// nothing and its cases.
StatusOr<std::string> GoldenWalk::Advance(std::size_t record, std::vector<RunCase>& cases) {
  const auto [op, output] = matches_[record];
  std::string unreached;
  for (std::size_t c = 0; c < graphs_.size(); ++c) {
    const std::string why = Compute(record, c, cases);
    if (why.empty()) continue;
    if (unreached.empty()) unreached = why;
    // The recorded bytes, where there are some, let the operators behind it be reached anyhow.
    const auto recorded = ReadIntermediate(golden_, golden_.cases[c], record);
    if (recorded.ok() && graphs_[c]->ops()[op].outputs[output].bytes > 0) {
      RETURN_IF_ERROR(graphs_[c]->SetOutput(op, output, *recorded));
    }
  }
  if (!unreached.empty()) cases.clear();
  return unreached;
}

StatusOr<std::optional<GoldenWalk::Step>> GoldenWalk::Next() {
  while (next_ < matches_.size()) {
    const std::size_t record = next_++;
    const GraphOp& op = graphs_[0]->ops()[matches_[record].op];
    Step step;
    step.output = op.outputs[matches_[record].output].name;
    step.name = fmt::format("{} {}", op.op, step.output);
    ASSIGN_OR_RETURN(step.unreached, Advance(record, step.cases));
    for (const GoldenCase& one : golden_.cases) step.crc32.push_back(one.op_crc32[record]);
    if (op.layer) step.workload = graphs_[0]->network().layers[*op.layer].workload;
    if (op.layer || !step.unreached.empty()) return std::optional(std::move(step));
  }
  return std::optional<Step>();
}

}  // namespace kiln
