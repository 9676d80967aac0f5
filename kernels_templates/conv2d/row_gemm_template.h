#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels_templates/conv2d/row_gemm.h"
#include "kernels_templates/kernel_template.h"

namespace kiln {

// What the families that are lowered to a row-segment GEMM differ in: the operator and the knob
// values.
struct RowGemmFamily {
  std::string name;  // "conv2d"
  OpKind op = OpKind::kConv2d;
  std::vector<std::int64_t> tile_h, tile_w, tile_c, unroll_k, block;
  std::vector<GemmKnobs> defaults;  // wishes for the untuned default, best first
};

// A template "<family>.<isa>". Several methods of one instruction set differ in how they multiply:
// a knob decides between them.
std::shared_ptr<const KernelTemplate> NewRowGemmTemplate(RowGemmFamily family,
                                                         std::vector<const VectorIsa*> methods);

// What a config of such a template does, without lowering it.
ScheduleSummary SummarizeRowGemm(const TaskSpec& spec, const std::vector<const VectorIsa*>& methods,
                                 const ConfigSpace& space, const Config& config);

// conv2d/conv2d_template.cc and dense/dense_template.cc.
RowGemmFamily Conv2dFamily();
RowGemmFamily DenseFamily();

}  // namespace kiln
