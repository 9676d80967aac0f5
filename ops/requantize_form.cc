#include "ops/requantize_form.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "ops/requantize_solver.h"

namespace kiln {
namespace {

constexpr std::int64_t kTwo31 = std::int64_t{1} << 31;

std::int64_t Bound(const ChannelRequantize& channel) {
  return std::max(channel.reach.high, -channel.reach.low);
}

kiln_channel ForSolver(const ChannelRequantize& channel) {
  return {channel.factor.multiplier,
          channel.factor.shift,
          channel.rounding == Rounding::kSingle,
          channel.y_zp,
          channel.act_min,
          channel.act_max,
          channel.reach.low,
          channel.reach.high};
}

// A channel that shifts left is none: kernels that compute the rule itself in these forms' place
// (64-bit Arm) have no left shift.
bool IsConstant(const ChannelRequantize& channel) {
  if (channel.factor.shift > 0 || Bound(channel) >= kTwo31) return false;
  const kiln_channel c = ForSolver(channel);
  return kiln_is_constant(&c) != 0;
}

// What int7 and int9 compute with: the channel's own numbers, or multiplier 0 where one byte serves
// for all accumulators.
struct IntegerFactor {
  std::int64_t multiplier = 0;
  std::int32_t e = 1, y_zp = 0;
};
IntegerFactor FactorOf(const ChannelRequantize& channel) {
  if (IsConstant(channel)) {
    const kiln_channel c = ForSolver(channel);
    return {0, 1, kiln_byte(&c, channel.reach.low)};
  }
  return {channel.factor.multiplier, -channel.factor.shift, channel.y_zp};
}

bool SumFits32Bits(const ChannelRequantize& channel) {
  if (Bound(channel) >= kTwo31) return false;
  const auto [multiplier, e, y_zp] = FactorOf(channel);
  if (e < 1 || e > 30) return false;
  const std::int64_t reach = (Bound(channel) * multiplier) >> 31;
  const std::int64_t zero_point = std::abs(std::int64_t{y_zp}) << e;
  return reach + zero_point + (std::int64_t{1} << (e - 1)) + 1 < kTwo31;
}

bool Int7IsValid(const ChannelRequantize& channel) {
  if (channel.rounding == Rounding::kFloat) return false;
  const bool signs_agree = channel.rounding == Rounding::kSingle || channel.act_min >= channel.y_zp;
  return signs_agree && SumFits32Bits(channel);
}

bool Int9IsValid(const ChannelRequantize& channel) {
  return channel.rounding != Rounding::kFloat && SumFits32Bits(channel);
}

bool FloatIsValid(const ChannelRequantize& channel) { return channel.rounding == Rounding::kFloat; }

bool GenIsValid(const ChannelRequantize& channel) { return channel.rounding != Rounding::kFloat; }

template <auto kSolve>
bool Solves(const ChannelRequantize& channel) {
  const kiln_channel c = ForSolver(channel);
  kiln_constants constants;
  return kSolve(&c, &constants) != 0;
}

template <auto kSolve>
bool StepIsValid(const ChannelRequantize& channel) {
  return Int7IsValid(channel) && Solves<kSolve>(channel);
}

template <auto kSolve>
bool SignedIsValid(const ChannelRequantize& channel) {
  return Int9IsValid(channel) && Solves<kSolve>(channel);
}

// Cheapest first.
struct FormRule {
  RequantizeForm form;
  bool (*is_valid)(const ChannelRequantize&);
};
constexpr FormRule kForms[] = {
    {RequantizeForm::kStep1, StepIsValid<kiln_solve_step1>},
    {RequantizeForm::kStep2, StepIsValid<kiln_solve_step2>},
    {RequantizeForm::kSigned1, SignedIsValid<kiln_solve_signed1>},
    {RequantizeForm::kSigned2, SignedIsValid<kiln_solve_signed2>},
    {RequantizeForm::kInt7, Int7IsValid},
    {RequantizeForm::kInt9, Int9IsValid},
    {RequantizeForm::kFloat, FloatIsValid},
    {RequantizeForm::kGen, GenIsValid},
};

bool CorrectsSign(RequantizeForm form, Rounding rounding) {
  return form == RequantizeForm::kInt9 && rounding == Rounding::kDouble;
}

}  // namespace

ChannelRequantize ChannelOf(const Workload& workload, const OpValues& values,
                            std::int32_t channel) {
  const auto o = static_cast<std::size_t>(channel);
  ChannelRequantize one;
  if (values.scale.empty()) one.factor = {values.multiplier[o], values.shift[o]};
  one.y_zp = values.y_zp;
  one.act_min = values.act_min, one.act_max = values.act_max;
  one.rounding = values.scale.empty() ? workload.rounding : Rounding::kFloat;
  one.reach = ReachableAccumulators(workload, values, channel);
  return one;
}

bool IsValid(RequantizeForm form, const ChannelRequantize& channel) {
  return std::any_of(std::begin(kForms), std::end(kForms), [&](const FormRule& rule) {
    return rule.form == form && rule.is_valid(channel);
  });
}

RequantizeForm CheapestForm(std::span<const ChannelRequantize> channels) {
  for (const FormRule& rule : kForms) {
    if (std::all_of(channels.begin(), channels.end(), rule.is_valid)) return rule.form;
  }
  return RequantizeForm::kGen;
}

std::map<RequantizeForm, std::int32_t> ChannelForms(const Workload& workload,
                                                    const OpValues& values) {
  std::map<RequantizeForm, std::int32_t> forms;
  for (std::int32_t i = 0; i < workload.o; ++i) {
    const ChannelRequantize channel = ChannelOf(workload, values, i);
    ++forms[CheapestForm({&channel, 1})];
  }
  return forms;
}

IntegerConstants ConstantsOf(RequantizeForm form, const ChannelRequantize& channel) {
  const auto [multiplier, e, y_zp] = FactorOf(channel);
  const auto m = static_cast<std::uint64_t>(multiplier);
  const std::int64_t upper = (std::int64_t{1} << (e - 1)) +
                             std::int64_t{y_zp} * (std::int64_t{1} << e) -
                             (CorrectsSign(form, channel.rounding) ? 1 : 0);
  const std::uint64_t half =
      channel.rounding == Rounding::kDouble ? static_cast<std::uint64_t>(kTwo31) : 0;
  return {static_cast<std::uint32_t>(2 * m),
          half + (static_cast<std::uint64_t>(upper) << 32) - (m << 32), e};
}

std::int32_t EvaluateForm(RequantizeForm form, Rounding rounding, const IntegerConstants& constants,
                          std::int32_t acc) {
  const std::uint32_t acc_u = static_cast<std::uint32_t>(acc) + 0x8000'0000u;
  const std::uint64_t sum = std::uint64_t{acc_u} * constants.doubled_multiplier + constants.addend;
  auto high = static_cast<std::uint32_t>(sum >> 32);
  if (CorrectsSign(form, rounding)) high += acc_u >> 31;
  return static_cast<std::int32_t>(high) >> constants.right_shift;
}

Workload Classify(Workload shape, const OpValues& values) {
  if (!values.scale.empty()) shape.rounding = Rounding::kFloat;
  std::vector<ChannelRequantize> channels;
  channels.reserve(static_cast<std::size_t>(shape.o));
  for (std::int32_t i = 0; i < shape.o; ++i) channels.push_back(ChannelOf(shape, values, i));
  shape.rq = CheapestForm(channels);
  shape.weight_zero_point = shape.type == DataType::kU8 && values.w_zp != 128;
  shape.full_range_weights =
      shape.type != DataType::kU8 && std::ranges::find(values.w, 0x80) != values.w.end();
  const bool relu = values.act_max == shape.qmax() && values.act_min >= values.y_zp;
  const bool full_range = values.act_max == shape.qmax() && values.act_min == shape.qmin();
  // A ReLU that cuts nothing off (y_zp is the type's minimum) is still what these forms need to
  // know.
  const bool needs_relu = IsForRelu(shape.rq) && shape.rounding == Rounding::kDouble;
  if (full_range && !needs_relu) {
    shape.act = Activation::kNone;
  } else {
    shape.act = relu ? Activation::kLo : Activation::kLoHi;
  }
  return shape;
}

}  // namespace kiln
