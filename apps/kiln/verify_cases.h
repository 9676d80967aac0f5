#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "measure/measurer.h"
#include "models/golden.h"
#include "models/graph.h"
#include "models/model.h"

namespace kiln {

// A layer's real values with a random input, and with inputs at both ends of their range.
std::vector<RunCase> CasesWithValues(const Layer& layer, std::uint64_t seed);

// This walks through a model and its recorded outputs, operator by operator. Operators that Kiln
// does not tune are computed by reference code. A tuned operator is reached if its input is at
// hand, and its reference output has the recorded checksum in every recorded case: then a kernel
// that gives these bytes equals the recording.
class GoldenWalk {
 public:
  struct Step {
    std::string name;    // operator and output, or one of its outputs
    std::string output;  // its name alone
    Workload workload;
    std::vector<RunCase> cases;        // one per recorded case
    std::vector<std::uint32_t> crc32;  // of their outputs, as recorded
    std::string unreached;             // why there are none; empty: there are
  };
  static StatusOr<GoldenWalk> Open(const std::string& model, const std::string& golden_directory);

  // The next operator that Kiln tunes, or one of another kind that cannot be reached; nullopt at
  // the end.
  StatusOr<std::optional<Step>> Next();

 private:
  GoldenWalk() = default;
  std::string Compute(std::size_t record, std::size_t golden_case, std::vector<RunCase>& cases);
  StatusOr<std::string> Advance(std::size_t record, std::vector<RunCase>& cases);

  Golden golden_;
  std::vector<std::unique_ptr<GraphExecutor>> graphs_;  // one per case
  std::vector<GoldenMatch> matches_;                    // of each golden record
  std::size_t next_ = 0;
};

}  // namespace kiln
