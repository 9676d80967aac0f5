#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ops/measurement.h"
#include "search_space/config_space.h"

namespace kiln {

// One config and how it did. A failure is a finding of the search, not an error of the tool;
// kDeviceLost alone says nothing about the config, and is never stored as a trial.
struct Trial {
  std::string uuid;  // made by the client, inserted once
  Config config;
  std::uint64_t code_digest = 0;  // 0: lowering failed
  Outcome outcome;
  std::optional<double>
      predicted;       // the cost model's score before it was measured; higher is faster
  std::string device;  // empty: never reached one
  std::int64_t measured_at_ms = 0;  // Unix time
  std::int64_t batch = 0;           // of the policy, per task
  TimeKind kind = TimeKind::kMeasured;
  DeviceState before, after;  // of the device, around the measurement
  std::string log;  // what the runner could not do as it should: "cannot run thread 1 on core 3"
};

// The rank time of a trial in ns (docs/search.md): nullopt for failures and censored trials.
inline std::optional<double> RankTime(const Trial& trial) {
  const auto* timings = std::get_if<Timings>(&trial.outcome);
  return timings ? std::optional<double>(timings->min_ns()) : std::nullopt;
}

}  // namespace kiln
