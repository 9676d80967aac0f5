#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kiln {

// One network of a job: exactly one of the first four is set.
struct JobNetwork {
  std::string model;    // an absolute path
  std::string network;  // a built-in one
  std::string layers;   // an absolute path
  std::vector<std::string> workloads;
  std::string layers_type,
      layers_act;  // of `layers`, as --layers-type and --layers-act; empty: as it says
  std::string
      digest;  // of the file, 16 hex digits of XXH64, when the job was submitted; empty: no file
  double weight = 1;  // how much its time counts beside the others'
  bool operator==(const JobNetwork&) const = default;
};

// What a job is to tune, and how far: what the database keeps of it as JSON (docs/night.md), and
// what its tuner is given. Windows, deadlines and priorities are not the tuner's business.
struct JobSpec {
  std::vector<JobNetwork> networks;  // at least one
  std::string target = "native";     // a name; never a file
  std::int32_t threads = 1;
  std::string cache = "hot";  // or "cold"
  std::string policy = "kiln";
  std::uint64_t seed = 0;
  std::optional<std::int64_t> trials, trials_per_task, early_stop;
  std::optional<std::int64_t> seconds;  // of running, over all its runs
  // Only the tasks whose best is stale: of code that this Kiln no longer makes.
  bool stale_only = false;
  bool operator==(const JobSpec&) const = default;
};

// One line, members in a fixed order, those at their default left out.
std::string ToJson(const JobSpec& spec);

// Strict: kInvalidArgument names the member that is unknown, missing, twice, or of the wrong type
// or range.
StatusOr<JobSpec> ParseJobSpec(std::string_view json);

// For people: "mobilenet_v1, m.tflite on native".
std::string Describe(const JobSpec& spec);

}  // namespace kiln
