#include "kernels_templates/conv2d/row_gemm_template.h"

namespace kiln {

// Any convolution: 1x1, general, grouped, dilated. The register tile decides (2.5-4x between the
// worst and the best that fit the registers), then where activations are staged and in which order
// the loops run: docs/kernels.md.
RowGemmFamily Conv2dFamily() {
  RowGemmFamily family;
  family.name = "conv2d";
  family.op = OpKind::kConv2d;
  family.tile_h = {1, 2, 4};
  family.tile_w = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 22};
  family.tile_c = {1, 2, 3, 4};
  family.unroll_k = {1, 2, 4, 8};
  family.block = {0, 4, 8, 16, 32};
  // What one would write without measuring: a small square tile, a row at a time.
  family.defaults = {
      {.tile_w = 4, .tile_c = 2, .stage = DataStage::kRaw, .store = StoreForm::kNatural},
      {.tile_w = 4, .tile_c = 2, .stage = DataStage::kBlock, .store = StoreForm::kNatural},
      {.tile_w = 4, .tile_c = 1, .stage = DataStage::kBlock},
      {.tile_w = 1, .tile_c = 1, .stage = DataStage::kBlock},
  };
  return family;
}

}  // namespace kiln
