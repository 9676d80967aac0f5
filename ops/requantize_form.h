#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "ops/op_data.h"
#include "ops/quantization.h"
#include "ops/workload.h"

// The forms in which kernels requantize: what each computes, and for which values that is exactly
// what the rounding rule says. The C code of the kernels (`pack` and the vector code) follows these
// formulas; here they are in scalar form, so that tests can hold them against the rule itself.
//
// step1, step2, signed1 and signed2 are float instructions with constants that a search finds and
// proves: ops/requantize_solver.h.
//
// int7 and int9 evaluate the whole rule with one 64-bit multiplication. Let m the multiplier,
// e = -shift >= 1, z = y_zp, and
//   double: h(acc) = floor((acc * m + 2^30) / 2^31),  result = floor((h + 2^(e-1) - [h < 0]) / 2^e)
//   single: h(acc) = floor(acc * m / 2^31),           result = floor((h + 2^(e-1)) / 2^e)
// (halves away from zero and halves up, written as floors; the nested floors of `single` are those
// of one division). With acc_u = acc + 2^31 as 32 unsigned bits,
//   high = upper half of (acc_u * 2m + C) mod 2^64,
//   C    = r + ((2^(e-1) + z * 2^e - s) << 32) - (m << 32)   r = 2^31 for double, 0 for single
//   high = h(acc) + 2^(e-1) + z * 2^e - s
//   y    = high >> e                                         int7, s = 0
//   y    = (high + [acc >= 0]) >> e                          int9, s = 1
// as signed 32-bit numbers. That is result + z if the sum fits 32 bits, and
//   - single: always, there is no sign correction to make;
//   - double, int9: always. Its correction is [acc < 0], the rule's is [h < 0]; they differ only
//     where acc < 0 and h = 0, and floor((2^(e-1) - 1) / 2^e) = 0 either way;
//   - double, int7: for acc >= 0. For acc < 0 both results are at most z, so both become act_min if
//     act_min >= z.
// The sum fits 32 bits if, with A >= |acc|, (A * m >> 31) + |z| * 2^e + 2^(e-1) + 1 < 2^31: the
// first term plus one bounds |h|, a subtracted s only reaches the lower end, which is one larger. A
// sum beyond 32 bits comes out with the wrong sign, so this is not a formality: tests show rows of
// TFLite's own vectors that break without it.

namespace kiln {

// How one output channel is requantized.
struct ChannelRequantize {
  FixedPoint factor;  // rounding double, single
  std::int32_t y_zp = 0, act_min = -128, act_max = 127;
  Rounding rounding = Rounding::kDouble;
  AccumulatorRange reach;  // ReachableAccumulators()
};

// The channel of an operator, values fitting the workload (Misfit).
ChannelRequantize ChannelOf(const Workload& workload, const OpValues& values, std::int32_t channel);

// Whether the form gives the rule's bytes for every accumulator in reach. A channel that has one
// byte for all of them (dead channels of real networks, with shifts of -20 and less) and does not
// shift left is valid in nearly every form. Forms other than gen and float also meet the condition
// of int7 (step forms) or int9 (signed forms), so that an instruction set without their
// instructions can use those.
bool IsValid(RequantizeForm form, const ChannelRequantize& channel);

// The cheapest form that is valid for all channels.
RequantizeForm CheapestForm(std::span<const ChannelRequantize> channels);

// How many channels of the operator have each form as their cheapest: what one channel costs all
// others. Sums to the number of output channels.
std::map<RequantizeForm, std::int32_t> ChannelForms(const Workload& workload,
                                                    const OpValues& values);

// What `pack` stores of a channel for int7 and int9, which must be valid for it.
struct IntegerConstants {
  std::uint32_t doubled_multiplier = 0;  // 2m
  std::uint64_t addend = 0;              // C
  std::int32_t right_shift = 1;          // e
};
IntegerConstants ConstantsOf(RequantizeForm form, const ChannelRequantize& channel);

// What a vector kernel computes of one accumulator with int7 or int9, in the same modular
// arithmetic: y before the clamp, the zero point added.
std::int32_t EvaluateForm(RequantizeForm form, Rounding rounding, const IntegerConstants& constants,
                          std::int32_t acc);

}  // namespace kiln
