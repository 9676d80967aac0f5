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
  ASSIGN_OR_RETURN(walk.op_of_, MatchGolden(walk.golden_, *walk.graphs_[0]));
  return walk;
}

// Takes one operator forward in every case. Returns why it is unreached, or nothing and its cases.
StatusOr<std::string> GoldenWalk::Advance(std::size_t record, std::vector<RunCase>& cases) {
  const std::size_t op = op_of_[record];
  for (std::size_t c = 0; c < graphs_.size(); ++c) {
    GraphExecutor& graph = *graphs_[c];
    const GraphOp& graph_op = graph.ops()[op];
    std::vector<std::uint8_t> input;
    if (graph_op.layer) {
      const auto x = graph.InputOf(op);
      if (!x.ok()) return Message(x.status());
      input.assign(x->begin(), x->end());
    }
    const auto output = graph.Run(op);
    const std::uint32_t expected = golden_.cases[c].op_crc32[record];
    if (!output.ok() || Crc32(*output) != expected) {
      // The recorded bytes, where there are some, let the operators behind it be reached all the
      // same.
      const auto recorded = ReadIntermediate(golden_, golden_.cases[c], record);
      if (recorded.ok()) RETURN_IF_ERROR(graph.SetOutput(op, *recorded));
      return output.ok() ? std::string("the reference output differs from the recording")
                         : Message(output.status());
    }
    if (!graph_op.layer) continue;
    const Layer& layer = graph.network().layers[*graph_op.layer];
    cases.push_back(CaseOf(*layer.values, std::move(input), {output->begin(), output->end()}));
  }
  return std::string();
}

StatusOr<std::optional<GoldenWalk::Step>> GoldenWalk::Next() {
  while (next_ < op_of_.size()) {
    const std::size_t record = next_++;
    const GraphOp& op = graphs_[0]->ops()[op_of_[record]];
    Step step;
    step.name = fmt::format("{} {}", op.op, op.output_name);
    ASSIGN_OR_RETURN(step.unreached, Advance(record, step.cases));
    if (op.layer) step.workload = graphs_[0]->network().layers[*op.layer].workload;
    if (op.layer || !step.unreached.empty()) return std::optional(std::move(step));
  }
  return std::optional<Step>();
}

}  // namespace kiln
