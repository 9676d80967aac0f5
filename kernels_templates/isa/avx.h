#pragma once

#include "kernels_templates/isa/vector_isa.h"

namespace kiln {

// Four unsigned bytes by four signed ones in one instruction, 64 multiplications.
const VectorIsa& Avx512Vnni();

// The same dots on 256 bits and 16 registers, without AVX-512: Alder Lake and later.
const VectorIsa& AvxVnni();

// Two words by two words and a sum, 16 multiplications in two instructions.
const VectorIsa& Avx2();

}  // namespace kiln
