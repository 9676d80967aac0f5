#pragma once

#include <array>
#include <cstdint>

#include "ops/measurement.h"

namespace kiln {

// What a timing gave, in memory that lives before it starts: where samples are taken, nothing may
// be allocated any more.
struct SampleRecord {
  std::array<double, kMaxSamples> samples_ns;  // each the mean of calls_per_sample calls
  std::int32_t samples, calls_per_sample;
  std::int64_t calls;  // all of them, warm-up included
  bool censored;
};

// This is what can be timed.
class TimedCalls {
 public:
  virtual ~TimedCalls() = default;
  // Makes that many calls, one after the other, and returns how long they took, in ns.
  virtual std::int64_t Run(std::int64_t calls) = 0;
  virtual void EvictCaches() = 0;
};

// The statistic of docs/search.md: warm-up; then samples, each the mean of as many calls as last
// plan.sample_ns (cold: of one call after the caches were emptied); stops after 3 samples if their
// minimum exceeds the cut-off. plan.samples is in [1, kMaxSamples].
void TakeSamples(const MeasurePlan& plan, TimedCalls& kernel, SampleRecord& record);

}  // namespace kiln
