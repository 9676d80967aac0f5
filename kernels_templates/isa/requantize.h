#pragma once

#include <cstdint>
#include <string>

#include "kernels_templates/isa/vector_isa.h"
#include "ops/workload.h"

namespace kiln {

// The form that kernels of this instruction set compute the workload's form with. All have the same
// bytes; step1 needs a fused multiply-add, the other step and signed forms a rounding mode per
// instruction. Without these int7 and int9 take their place, or gen where a multiplication is
// nearly the rule itself (IsValid in ops/requantize_form.h promises that they may).
RequantizeForm KernelForm(const VectorIsa& isa, const Workload& workload);

// Constants of a vector of output channels: kConstantVectors vectors of `lanes` int32, the first of
// them the bias that accumulators start from. What the others hold depends on the kernel's form;
// ops/requantize_form.h and ops/requantize_solver.h define the forms, this file writes them as C.
//
//   form              vectors
//   step1             bias + seed | scale | offset
//   step2, signed2    bias | scale | scale_low | offset
//   signed1           bias | scale | offset
//   int7, int9        bias + 2^31 | 2m of even lanes, in 64 bits | 2m of odd | C of even | C of odd
//                     | e
//   gen               bias | multiplier | shift | zero point
//   gen, where a multiplication gives the high half (sqrdmulh), by its rounding
//     double          bias | multiplier | shift right, negative | shift left
//     single          bias | multiplier | shift - 31 of the even half, in 64 bits | of the odd half
//   float             bias | scale | zero point
inline constexpr std::int32_t kConstantVectors = 6;

// k_requantize for the workload's form, in the vocabulary of vector_isa.h, and what stores do with
// its results: k_value(r, range), 32-bit results with the zero point, and where two vectors are
// packed at once k_words(a, b, range), 16-bit ones in LaneOfChannel's order.
std::string RequantizeSource(const VectorIsa& isa, const Workload& workload);

// k_pack_constants(op, channel, lane, bias, low, high, c): the constants of one output channel into
// lane `lane` of c[kConstantVectors][lanes]; `bias` with zero points folded in, no accumulator
// outside of [low, high] whatever the input. KILN_E_CLASS if the form is not valid for the channel.
// A channel < 0 is padding: results are discarded.
std::string PackConstantsSource(const VectorIsa& isa, const Workload& workload);

// How many of these vectors k_requantize reads; the bias is none of them.
std::int32_t RequantizeConstants(const VectorIsa& isa, const Workload& workload);

// How many simple instructions k_requantize takes for one vector, its share of the packing
// included: a feature of the cost model.
double RequantizeInstructions(const VectorIsa& isa, const Workload& workload);

}  // namespace kiln
