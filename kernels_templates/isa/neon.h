#pragma once

#include "kernels_templates/isa/vector_isa.h"

namespace kiln {

// ARMv8.0, as in a Cortex-A72: bytes by smull and smlal2, pairs of products by sadalp (at most 16
// multiplications in three instructions; weights of -128 are refused), or values widened to 16 bits
// by smlal with a lane (four multiplications an instruction, any weights). Methods of one template.
const VectorIsa& NeonMull();
const VectorIsa& NeonMlal();

// ARMv8.2's SDOT by lane, 16 multiplications an instruction: Cortex-A55, A76, X1 and later.
const VectorIsa& Dotprod();

}  // namespace kiln
