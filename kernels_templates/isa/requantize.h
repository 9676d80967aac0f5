#pragma once

#include <cstdint>
#include <string>

#include "kernels_templates/isa/vector_isa.h"
#include "ops/workload.h"

namespace kiln {

// Constants of a vector of output channels: kConstantVectors vectors of `lanes` int32, the first of
// them the bias that accumulators start from. What the others hold depends on the form;
// ops/requantize_form.h defines the forms, this file writes them as C.
//   int7, int9   bias + 2^31 | 2m of even lanes, in 64 bits | 2m of odd | C of even | C of odd | e
//   gen          bias | multiplier | shift | zero point | - | -
//   float        bias | scale | zero point | - | - | -
inline constexpr std::int32_t kConstantVectors = 6;

// k_requantize for the workload's form, in the vocabulary of vector_isa.h.
std::string RequantizeSource(const Workload& workload);

// k_pack_constants(op, channel, lane, bias, bound, c): the constants of one output channel
// into lane `lane` of c[kConstantVectors][lanes]; `bias` with zero points folded in, `bound` >=
// |acc| for every input. KILN_E_CLASS if the form is not valid for the channel. A channel < 0 is
// padding: results are discarded.
std::string PackConstantsSource(const Workload& workload);

// How many simple instructions k_requantize takes for one vector, store included: a feature of the
// cost model.
double RequantizeInstructions(const Workload& workload);

}  // namespace kiln
