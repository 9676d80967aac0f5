#pragma once

#include <memory>

#include "kernels_templates/kernel_template.h"

// A template for dense layers in portable C: `rows` rows of x at a time, a vector of output
// channels at a time, one input channel after the other. Slow, but complete: any shape, any
// activation and weight type, any requantize form that Kiln's vocabulary has.
std::shared_ptr<const kiln::KernelTemplate> NewOuterProductDense();
