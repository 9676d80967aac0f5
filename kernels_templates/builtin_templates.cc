#include "kernels_templates/conv2d/row_gemm_template.h"
#include "kernels_templates/depthwise/depthwise_template.h"
#include "kernels_templates/isa/neon.h"
#include "kernels_templates/kernel_template.h"

namespace kiln {

// The richest instruction set last: it takes precedence.
void RegisterBuiltinTemplates(TemplateRegistry& registry) {
  const std::vector<std::vector<const VectorIsa*>> sets = {
      {&Portable()}, {&Avx2()}, {&AvxVnni()}, {&Avx512Vnni()}, {&NeonMull(), &NeonMlal()},
      {&Dotprod()}};
  for (const auto& methods : sets) {
    registry.Register(NewRowGemmTemplate(Conv2dFamily(), methods));
    registry.Register(NewRowGemmTemplate(DenseFamily(), methods));
    registry.Register(NewDepthwiseTemplate(*methods[0]));
  }
}

}  // namespace kiln
