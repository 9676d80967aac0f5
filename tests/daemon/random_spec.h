#pragma once

#include <string>

#include "base/digest.h"
#include "daemon/job_spec.h"
#include "ops/workload_key.h"
#include "tests/ops/random_workload.h"

namespace kiln {

// A text with what JSON must escape, and letters that are not ASCII.
inline std::string DrawText(Rng& rng) {
  constexpr const char* kPieces[] = {"a", "Z", "7", " ", "\"", "\\", "/", ".", "\u00e4", "\u6f22"};
  std::string text;
  for (std::uint64_t i = 0, n = 1 + rng.Below(12); i < n; ++i) text += kPieces[rng.Below(10)];
  return text;
}

inline JobNetwork DrawNetwork(Rng& rng) {
  JobNetwork network;
  const std::uint64_t kind = rng.Below(4);
  if (kind == 0) network.model = "/" + DrawText(rng);
  if (kind == 1) network.network = DrawText(rng);
  if (kind == 2) {
    network.layers = "/" + DrawText(rng);
    constexpr const char* kTypes[] = {"", "i8", "u8s8", "u8"};
    constexpr const char* kActs[] = {"", "as-listed", "none", "lo", "lohi"};
    network.layers_type = kTypes[rng.Below(4)];
    network.layers_act = kActs[rng.Below(5)];
  }
  if (kind % 2 == 0 && rng.Below(2) == 0) network.digest = Hex(rng.Next());
  if (kind == 3) {
    for (std::uint64_t n = 1 + rng.Below(3); network.workloads.size() < n;) {
      if (const auto workload = DrawWorkload(rng)) network.workloads.push_back(Key(*workload));
    }
  }
  if (rng.Below(2) == 0) network.weight = 1e3 * (1 - rng.Unit());
  return network;
}

// Any spec that ParseJobSpec() takes.
inline JobSpec DrawSpec(Rng& rng) {
  JobSpec spec;
  for (std::uint64_t i = 0, n = 1 + rng.Below(4); i < n; ++i) {
    spec.networks.push_back(DrawNetwork(rng));
  }
  const auto maybe = [&rng](std::int64_t least, std::int64_t most) -> std::optional<std::int64_t> {
    if (rng.Below(2) == 0) return std::nullopt;
    return rng.Between(least, most);
  };
  if (rng.Below(2) == 0) spec.target = "rasp4b";
  spec.threads = static_cast<std::int32_t>(rng.Between(1, 128));
  if (rng.Below(2) == 0) spec.cache = "cold";
  if (rng.Below(2) == 0) spec.policy = "random";
  if (rng.Below(2) == 0) spec.seed = rng.Next();
  spec.trials = maybe(0, std::int64_t{1} << 53);
  spec.trials_per_task = maybe(0, 1000);
  spec.early_stop = maybe(1, 1000);
  spec.seconds = maybe(1, 1'000'000'000);
  spec.stale_only = rng.Below(2) == 0;
  return spec;
}

}  // namespace kiln
