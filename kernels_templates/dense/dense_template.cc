#include "kernels_templates/conv2d/row_gemm_template.h"

namespace kiln {

// Fully connected layers. At one row they are bound by the bandwidth of the weights, so the tile is
// wide in channels and one row high; with more rows they are a 1x1 convolution.
RowGemmFamily DenseFamily() {
  RowGemmFamily family;
  family.name = "dense";
  family.op = OpKind::kDense;
  family.tile_h = {1};
  family.tile_w = {1, 2, 3, 4, 6, 8, 12};
  family.tile_c = {1, 2, 3, 4, 6, 8, 10, 12};
  family.unroll_k = {1, 2, 4, 8, 16};
  family.block = {0, 4, 16};
  family.defaults = {
      {.tile_w = 1, .tile_c = 1, .order = GemmOrder::kPanelBlockTile, .stage = DataStage::kRaw},
      {.tile_w = 1, .tile_c = 1, .stage = DataStage::kBlock},
  };
  return family;
}

}  // namespace kiln
