#include "kernels_templates/conv2d/row_gemm_template.h"
#include "kernels_templates/depthwise/depthwise_template.h"
#include "kernels_templates/isa/instruction_sets.h"
#include "kernels_templates/kernel_template.h"

namespace kiln {

// The richest instruction set last: it takes precedence.
void RegisterBuiltinTemplates(TemplateRegistry& registry) {
  for (const InstructionSet& set : InstructionSets()) {
    registry.Register(NewRowGemmTemplate(Conv2dFamily(), set.methods));
    registry.Register(NewRowGemmTemplate(DenseFamily(), set.methods));
    registry.Register(NewDepthwiseTemplate(set.isa()));
  }
}

}  // namespace kiln
