#include "tests/integration/kernel_run.h"

#include <memory>

#include "base/digest.h"
#include "ops/reference.h"
#include "ops/workload_key.h"
#include "tests/kernel_host/test_kernels.h"

namespace kiln {
namespace {

constexpr char kNaiveKey[] =
    "conv2d/i8/n1h6w7c3/o5/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=none/rq=gen/double";

Artifact KernelNamed(const std::string& name) {
  auto object = std::make_shared<const std::string>(TestKernel(name));
  return {object, kTestSymbol, 1, Digest(*object)};
}

}  // namespace

StatusOr<RunResult> RunKernel(Lease& lease, const std::string& kernel,
                              std::chrono::milliseconds time_out) {
  const Artifact artifact = KernelNamed(kernel);
  RunRequest request;
  request.artifact = &artifact;
  request.workload = *ParseWorkload(kNaiveKey);
  for (const DataSet set : {DataSet::kUniform, DataSet::kEdges}) {
    const OpCase op_case = MakeCase(request.workload, set, 7);
    const auto y = RunReference(request.workload, op_case.values, op_case.x);
    RunCase run_case;
    run_case.set = set;
    run_case.seed = 7;
    run_case.expected_digest = Digest(y.data(), y.size());
    request.cases.push_back(run_case);
  }
  request.plan.time_out_ns = std::chrono::nanoseconds(time_out).count();
  return lease.Run(request);
}

std::string Summary(const StatusOr<RunResult>& result) {
  if (!result.ok()) {
    return StatusCodeToString(result.status().code()) + ": " + Message(result.status());
  }
  if (const auto* failure = std::get_if<Failure>(&result->outcome)) return Name(failure->kind);
  return std::holds_alternative<Timings>(result->outcome) ? "ok" : "censored";
}

}  // namespace kiln
