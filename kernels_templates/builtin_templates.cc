#include "kernels_templates/conv2d/row_gemm_template.h"
#include "kernels_templates/depthwise/depthwise_template.h"
#include "kernels_templates/kernel_template.h"

namespace kiln {

// The richest instruction set last: it takes precedence.
void RegisterBuiltinTemplates(TemplateRegistry& registry) {
  for (const VectorIsa* isa : {&Portable(), &Avx2(), &AvxVnni(), &Avx512Vnni()}) {
    registry.Register(NewRowGemmTemplate(Conv2dFamily(), *isa));
    registry.Register(NewRowGemmTemplate(DenseFamily(), *isa));
    registry.Register(NewDepthwiseTemplate(*isa));
  }
}

}  // namespace kiln
