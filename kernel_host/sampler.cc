#include "kernel_host/sampler.h"

#include <algorithm>
#include <cmath>

namespace kiln {
namespace {

constexpr std::int32_t kCutOffSamples = 3;
constexpr double kMaxCallsPerSample = 1e7;

// Runs until the warm-up time is over and returns the shortest mean time of a call. The batches
// double, so that reading the clock does not count.
double WarmUp(const MeasurePlan& plan, TimedCalls& kernel, SampleRecord& record) {
  double best_ns = 0;
  std::int64_t elapsed_ns = 0;
  for (std::int64_t calls = 1;;) {
    const std::int64_t batch_ns = kernel.Run(calls);
    const double call_ns = static_cast<double>(batch_ns) / static_cast<double>(calls);
    best_ns = record.calls == 0 ? call_ns : std::min(best_ns, call_ns);
    record.calls += calls;
    elapsed_ns += batch_ns;
    if (elapsed_ns >= plan.warm_up_ns && batch_ns > 0) return best_ns;
    if (batch_ns < plan.sample_ns) calls *= 2;
  }
}

}  // namespace

void TakeSamples(const MeasurePlan& plan, TimedCalls& kernel, SampleRecord& record) {
  record.samples = 0;
  record.calls = 0;
  record.censored = false;
  const double call_ns = WarmUp(plan, kernel, record);
  std::int64_t calls = 1;
  if (plan.cache == CacheState::kHot) {
    const double wanted = std::ceil(static_cast<double>(plan.sample_ns) / call_ns);
    calls = static_cast<std::int64_t>(std::clamp(wanted, 1.0, kMaxCallsPerSample));
  }
  record.calls_per_sample = static_cast<std::int32_t>(calls);

  double min_ns = 0;
  while (record.samples < plan.samples) {
    if (plan.cache == CacheState::kCold) kernel.EvictCaches();
    const double sample_ns = static_cast<double>(kernel.Run(calls)) / static_cast<double>(calls);
    record.calls += calls;
    min_ns = record.samples == 0 ? sample_ns : std::min(min_ns, sample_ns);
    record.samples_ns[static_cast<std::size_t>(record.samples++)] = sample_ns;
    if (record.samples == kCutOffSamples && plan.cut_off_ns > 0 &&
        min_ns > static_cast<double>(plan.cut_off_ns)) {
      record.censored = true;
      return;
    }
  }
}

}  // namespace kiln
