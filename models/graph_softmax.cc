// SOFTMAX of 8-bit tensors in fixed point, as TFLite's reference kernel and gemmlowp's fixed-point
// functions compute it. A raw integer r of format Qm.f stands for r * 2^-f, m + f = 31; the product
// of formats Qa and Qb is Q(a+b), and is SRDHM of the raw integers.
//   e_i = exp(beta * scale * (x_i - max)), from Q5.26 to Q0.31: the exponent is split into a part
//   in
//         (-1/4, 0] for a Taylor polynomial and powers of two that select factors of a product
//   y_i = e_i / sum(e), the reciprocal by three Newton steps in Q2.29
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "models/graph_ops.h"
#include "models/tflite_import.h"
#include "ops/quantization.h"

namespace kiln {
namespace {

constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
constexpr int kDiffFraction = 26;  // Q5.26

// The product of two fixed-point numbers: the high half of 2ab, to nearest, exact halves up. (The
// requantization in ops/ rounds the same way but fuses a shift.)
std::int32_t Multiply(std::int32_t a, std::int32_t b) {
  if (a == kMin && b == kMin) return kMax;
  const std::int64_t product = std::int64_t{a} * b;
  const std::int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
  return static_cast<std::int32_t>((product + nudge) / (std::int64_t{1} << 31));
}

// x / 2^bits to nearest, exact halves away from zero; bits in 0..31.
std::int32_t DividePowerOfTwo(std::int32_t x, int bits) {
  const std::int64_t mask = (std::int64_t{1} << bits) - 1;
  const std::int64_t remainder = x & mask;
  const std::int64_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return static_cast<std::int32_t>((std::int64_t{x} >> bits) + (remainder > threshold ? 1 : 0));
}

std::int32_t SaturatingShiftLeft(std::int32_t x, int bits) {
  return static_cast<std::int32_t>(
      std::clamp<std::int64_t>(std::int64_t{x} * (std::int64_t{1} << bits), kMin, kMax));
}

// exp(a) for a in [-1/4, 0), Q0.31 to Q0.31: the Taylor polynomial of degree 4 about -1/8.
std::int32_t ExpNearZero(std::int32_t a) {
  constexpr std::int32_t kExpMinusEighth = 1895147668, kThird = 715827883;
  const std::int32_t x = a + (1 << 28);
  const std::int32_t x2 = Multiply(x, x);
  const std::int32_t x3 = Multiply(x2, x);
  const std::int32_t x4 = Multiply(x2, x2);
  const std::int32_t higher =
      DividePowerOfTwo(Multiply(DividePowerOfTwo(x4, 2) + x3, kThird) + x2, 1);
  return kExpMinusEighth + Multiply(kExpMinusEighth, x + higher);
}

// exp(a) for a <= 0 in Q5.26; the result is Q0.31.
std::int32_t ExpOfNegative(std::int32_t a) {
  if (a == 0) return kMax;
  constexpr std::int32_t kQuarter = 1 << (kDiffFraction - 2);
  // exp(-2^k) for k = -2..4, Q0.31.
  constexpr std::int32_t kFactors[] = {1672461947, 1302514674, 790015084, 290630308,
                                       39332535,   720401,     242};
  const std::int32_t near = (a & (kQuarter - 1)) - kQuarter;
  const std::int32_t rest = near - a;  // a multiple of 1/4
  std::int32_t result = ExpNearZero(SaturatingShiftLeft(near, 31 - kDiffFraction));
  for (int k = 0; k < 7; ++k) {
    if ((rest & (kQuarter << k)) != 0) result = Multiply(result, kFactors[k]);
  }
  return result;
}

// 1 / (1 + a) for a in [0, 1), Q0.31 to Q0.31, by Newton's method on 2 / (1 + a).
std::int32_t ReciprocalOfOnePlus(std::int32_t a) {
  constexpr std::int32_t kOne = 1 << 29;  // Q2.29
  constexpr std::int32_t k48Over17 = 1515870810, kMinus32Over17 = -1010580540;
  const auto half = static_cast<std::int32_t>((std::int64_t{a} + kMax + 1) / 2);
  std::int32_t x = k48Over17 + Multiply(half, kMinus32Over17);
  for (int step = 0; step < 3; ++step) {
    const std::int32_t error = kOne - Multiply(half, x);
    x += SaturatingShiftLeft(Multiply(x, error), 2);
  }
  return SaturatingShiftLeft(x, 1);
}

// Turns differences to the row's maximum into Q5.26 exponents.
struct Exponent {
  FixedPoint factor;
  std::int32_t lowest = 0;  // difference below which the exponential counts as 0

  std::int32_t Exp(std::int32_t difference) const {
    if (difference < lowest) return 0;
    const std::int64_t shifted = std::int64_t{difference} * (std::int64_t{1} << factor.shift);
    return ExpOfNegative(Multiply(static_cast<std::int32_t>(shifted), factor.multiplier));
  }
};

void SoftmaxRow(std::span<const std::uint8_t> x, std::span<std::uint8_t> y, ElementType type,
                const Exponent& exponent) {
  std::int32_t largest = kMin;
  for (const std::uint8_t byte : x) largest = std::max(largest, FromByte(type, byte));
  std::int32_t sum = 0;  // Q12.19
  for (const std::uint8_t byte : x) {
    sum += DividePowerOfTwo(exponent.Exp(FromByte(type, byte) - largest), 12);
  }
  // sum = 2^(12 - headroom) * (1 + fraction)
  const int headroom = std::countl_zero(static_cast<std::uint32_t>(sum));
  const auto fraction = static_cast<std::int32_t>((static_cast<std::uint32_t>(sum) << headroom) -
                                                  (std::uint32_t{1} << 31));
  const std::int32_t scale = ReciprocalOfOnePlus(fraction);
  const int shift = 12 - headroom + 31 - 8;
  const ActivationRange range = RangeOf(FusedActivation::kNone, type, 1, 0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int32_t e = exponent.Exp(FromByte(type, x[i]) - largest);
    const std::int32_t value = DividePowerOfTwo(Multiply(scale, e), shift) + range.min;
    y[i] = ToByte(std::clamp(value, range.min, range.max));
  }
}

}  // namespace

StatusOr<GraphKernel> PrepareSoftmax(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const TfliteTensor* x, InputTensor(model, op, 0));
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  if (!IsQuantized(*x) || x->type != y->type) {
    return CannotCompute(x->type_name, " -> ", y->type_name);
  }
  constexpr std::int32_t kLongestRow = 1 << 12;  // whose sum fits Q12.19
  if (x->shape != y->shape || x->shape.empty() || x->shape.back() < 1 ||
      x->shape.back() >= kLongestRow) {
    return CannotCompute("shapes that do not fit");
  }
  ASSIGN_OR_RETURN(const TensorScale x_scale, ScaleOf(*x));
  ASSIGN_OR_RETURN(const TensorScale y_scale, ScaleOf(*y));
  const std::int32_t least = RangeOf(FusedActivation::kNone, y->type, 1, 0).min;
  if (y_scale.scale != 1.0F / 256 || y_scale.zero_point != least) {
    return CannotCompute("an output scale other than 1/256");
  }
  if (!op.options.present) return CannotCompute("no options");
  const double real =
      std::min(static_cast<double>(op.options.beta) * x_scale.scale * (1 << kDiffFraction),
               static_cast<double>(kMax));
  // Below 1 the kernel has no right shift; a difference then moves the exponent by under 2^-26.
  if (!(real >= 1)) return CannotCompute("a factor under 2^-26");
  Exponent exponent{.factor = QuantizeMultiplier(real)};
  exponent.lowest = -static_cast<std::int32_t>(
      std::floor(31.0 * (1 << kDiffFraction) / std::ldexp(1.0, exponent.factor.shift)));
  const auto row = static_cast<std::size_t>(x->shape.back());
  return GraphKernel(
      [exponent, row, type = x->type](GraphInputs inputs, std::span<std::uint8_t> output) {
        for (std::size_t start = 0; start < output.size(); start += row) {
          SoftmaxRow(inputs[0].subspan(start, row), output.subspan(start, row), type, exponent);
        }
      });
}

}  // namespace kiln
