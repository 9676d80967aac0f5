#pragma once

#include <memory>

#include "kernels_templates/features.h"
#include "kernels_templates/isa/vector_isa.h"
#include "kernels_templates/kernel_template.h"

namespace kiln {

// "depthwise.<isa>": depthwise_schedule.h says how it computes, and which kernels: kMaxKernel,
// kMaxKernelTaps.
std::shared_ptr<const KernelTemplate> NewDepthwiseTemplate(const VectorIsa& isa);

// What Features() is written from, for tests to hold against the program.
ScheduleSummary SummarizeDepthwise(const TaskSpec& spec, const VectorIsa& isa,
                                   const ConfigSpace& space, const Config& config);

}  // namespace kiln
