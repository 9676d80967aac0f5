#include "ops/requantize_form.h"

#include <algorithm>
#include <cstdlib>

namespace kiln {
namespace {

constexpr std::int64_t kTwo31 = std::int64_t{1} << 31;

// The largest magnitude of acc * m / 2^31.
std::int64_t Reach(std::int64_t bound, std::int32_t multiplier) {
  return (bound * multiplier) >> 31;
}

bool SumFits32Bits(const ChannelRequantize& channel) {
  if (channel.bound >= kTwo31) return false;
  const auto [multiplier, shift] = NormalizedFactor(channel);
  const std::int32_t e = -shift;
  if (e < 1 || e > 30) return false;
  const std::int64_t zero_point = std::abs(std::int64_t{channel.y_zp}) << e;
  return Reach(channel.bound, multiplier) + zero_point + (std::int64_t{1} << (e - 1)) + 1 < kTwo31;
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

// Cheapest first.
struct FormRule {
  RequantizeForm form;
  bool (*is_valid)(const ChannelRequantize&);
};
constexpr FormRule kForms[] = {
    {RequantizeForm::kInt7, Int7IsValid},
    {RequantizeForm::kInt9, Int9IsValid},
    {RequantizeForm::kFloat, FloatIsValid},
    {RequantizeForm::kGen, GenIsValid},
};

bool CorrectsSign(RequantizeForm form, Rounding rounding) {
  return form == RequantizeForm::kInt9 && rounding == Rounding::kDouble;
}

}  // namespace

FixedPoint NormalizedFactor(const ChannelRequantize& channel) {
  constexpr FixedPoint kDead = {0, -1};
  const auto [multiplier, shift] = channel.factor;
  if (multiplier == 0) return kDead;
  const bool always_zero = shift < 0 && channel.bound < kTwo31 &&
                           Reach(channel.bound, multiplier) + 1 < std::int64_t{1} << (-shift - 1);
  return always_zero ? kDead : channel.factor;
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

IntegerConstants ConstantsOf(RequantizeForm form, const ChannelRequantize& channel) {
  const auto [multiplier, shift] = NormalizedFactor(channel);
  const auto m = static_cast<std::uint64_t>(multiplier);
  const std::int32_t e = -shift;
  const std::int64_t upper = (std::int64_t{1} << (e - 1)) +
                             std::int64_t{channel.y_zp} * (std::int64_t{1} << e) -
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
  std::vector<ChannelRequantize> channels(static_cast<std::size_t>(shape.o));
  if (!values.scale.empty()) shape.rounding = Rounding::kFloat;
  for (std::int32_t i = 0; i < shape.o; ++i) {
    const auto o = static_cast<std::size_t>(i);
    ChannelRequantize& channel = channels[o];
    channel.y_zp = values.y_zp;
    channel.act_min = values.act_min;
    channel.rounding = shape.rounding;
    channel.bound = AccumulatorBound(shape, values, i);
    if (values.scale.empty()) channel.factor = {values.multiplier[o], values.shift[o]};
  }
  shape.rq = CheapestForm(channels);
  shape.weight_zero_point = shape.type == DataType::kU8 && values.w_zp != 128;
  const bool relu = values.act_max == shape.qmax() && values.act_min >= values.y_zp;
  const bool full_range = values.act_max == shape.qmax() && values.act_min == shape.qmin();
  // A ReLU that cuts nothing off (y_zp is the type's minimum) is still what int7 needs to know.
  const bool needs_relu = shape.rq == RequantizeForm::kInt7 && shape.rounding == Rounding::kDouble;
  if (full_range && !needs_relu) {
    shape.act = Activation::kNone;
  } else {
    shape.act = relu ? Activation::kLo : Activation::kLoHi;
  }
  return shape;
}

}  // namespace kiln
