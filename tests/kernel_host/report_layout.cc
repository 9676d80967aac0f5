// Prints where the runner's report keeps what, for a test kernel that forges it.
#include <cstddef>
#include <cstdio>

#include "kernel_host/runner.h"

int main() {
  using kiln::RunnerReport;
  using kiln::SampleRecord;
  constexpr std::size_t kSamples = offsetof(RunnerReport, samples);
  std::printf("enum { kReportBytes = %zu, kReportStage = %zu, kReportSamplesNs = %zu, ",
              sizeof(RunnerReport), offsetof(RunnerReport, stage),
              kSamples + offsetof(SampleRecord, samples_ns));
  std::printf("kReportSamples = %zu, kReportCallsPerSample = %zu, kStageRun = %d };\n",
              kSamples + offsetof(SampleRecord, samples),
              kSamples + offsetof(SampleRecord, calls_per_sample),
              static_cast<int>(kiln::Stage::kRun));
}
