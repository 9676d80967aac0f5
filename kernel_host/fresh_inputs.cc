#include "kernel_host/fresh_inputs.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/quantization.h"
#include "ops/window.h"

namespace kiln {
namespace {

constexpr std::int64_t kBytes = 1 << 17;  // of inputs and outputs, unless one call has more
constexpr std::int64_t kMaxCalls = 64;
constexpr std::int64_t kMaxChecks = 64;
constexpr std::int64_t kMaxMacs = 1 << 21;  // that the checks of one draw take: about a millisecond

void FillAtRandom(std::uint8_t* bytes, std::size_t size, Rng& rng) {
  std::size_t i = 0;
  for (; i + sizeof(std::uint64_t) <= size; i += sizeof(std::uint64_t)) {
    const std::uint64_t word = rng.Next();
    std::memcpy(bytes + i, &word, sizeof word);
  }
  for (; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(rng.Next());
}

std::int32_t Value(const void* bytes, std::int64_t index, bool is_unsigned) {
  const std::uint8_t byte = static_cast<const std::uint8_t*>(bytes)[index];
  return is_unsigned ? byte : static_cast<std::int8_t>(byte);
}

}  // namespace

FreshLayout FreshLayout::For(const Workload& workload) {
  const std::int64_t one = workload.x_bytes() + workload.y_bytes();
  const std::int64_t calls = std::clamp<std::int64_t>(kBytes / one, 1, kMaxCalls);
  return {static_cast<std::uint32_t>(calls), static_cast<std::uint64_t>(workload.x_bytes()),
          static_cast<std::uint64_t>(workload.y_bytes())};
}

FreshInputs FreshInputs::Make(const FreshLayout& layout) {
  using Access = GuardedBuffer::Access;
  using Pages = GuardedBuffer::Pages;
  FreshInputs inputs;
  inputs.layout_ = layout;
  inputs.file_ = MemoryFile::Make("kiln-fresh", layout.file_bytes());
  if (!inputs.file_.is_open()) return inputs;
  const int fd = inputs.file_.fd();
  inputs.x_ = GuardedBuffer::MapFile(fd, 0, layout.calls * layout.x_stride(), Access::kReadWrite,
                                     Pages::kPopulated);
  inputs.y_ = GuardedBuffer::MapFile(fd, layout.y_offset(), layout.calls * layout.y_stride(),
                                     Access::kReadWrite, Pages::kPopulated);
  return inputs;
}

void FreshInputs::Draw(std::uint32_t calls, Rng& rng) const {
  FillAtRandom(x_.At(Placement::kLow), calls * layout_.x_stride(), rng);
  FillAtRandom(y_.At(Placement::kLow), calls * layout_.y_stride(), rng);
}

std::optional<std::string> FreshInputs::Objection(std::uint32_t calls, const Workload& workload,
                                                  const kiln_op& op, Rng& rng) const {
  struct Check {
    std::uint32_t call;
    std::int64_t index;
    std::uint8_t output;
  };
  const std::int64_t affordable =
      std::clamp<std::int64_t>(kMaxMacs / workload.taps(), 1, kMaxChecks);
  std::vector<Check> checks(static_cast<std::size_t>(std::max<std::int64_t>(affordable, calls)));
  // All are read before the first is worked out: a kernel that has said too soon that it is done
  // gains no time.
  for (std::size_t i = 0; i < checks.size(); ++i) {
    const auto call = static_cast<std::uint32_t>(i % calls);
    const auto index = static_cast<std::int64_t>(rng.Below(layout_.y_bytes));
    const std::uint8_t* y = y_.At(Placement::kLow) + call * layout_.y_stride();
    checks[i] = {call, index, static_cast<const volatile std::uint8_t*>(y)[index]};
  }
  for (const Check& check : checks) {
    const std::uint8_t* x = x_.At(Placement::kLow) + check.call * layout_.x_stride();
    const std::uint8_t expected = OutputAt(workload, op, x, check.index);
    if (check.output == expected) continue;
    const bool is_unsigned = workload.unsigned_activations();
    return "output " + std::to_string(check.index) + " is " +
           std::to_string(Value(&check.output, 0, is_unsigned)) + " instead of " +
           std::to_string(Value(&expected, 0, is_unsigned));
  }
  return std::nullopt;
}

std::uint8_t OutputAt(const Workload& workload, const kiln_op& op, const std::uint8_t* x,
                      std::int64_t index) {
  const std::int64_t o = index % workload.o;
  const bool is_depthwise = workload.op == OpKind::kDepthwise;
  const bool unsigned_x = workload.unsigned_activations();
  const bool unsigned_w = workload.type == DataType::kU8;
  const std::int64_t channels = workload.reduce_c(), per_group = workload.o / workload.groups;
  std::int32_t acc = op.bias ? op.bias[o] : 0;
  ForEachTapInside(
      workload, PixelAt(workload, index / workload.o), [&](std::int64_t tap, std::int64_t first) {
        const std::int64_t from =
            first + (is_depthwise ? o / workload.multiplier : o / per_group * channels);
        const std::int64_t weight =
            is_depthwise ? tap * workload.o + o : o * workload.taps() + tap * channels;
        for (std::int64_t c = 0; c < channels; ++c) {
          acc += (Value(x, from + c, unsigned_x) - op.x_zp) *
                 (Value(op.w, weight + c, unsigned_w) - op.w_zp);
        }
      });
  const OutputRange range{op.y_zp, op.act_min, op.act_max};
  return workload.rounding == Rounding::kFloat
             ? Requantize(acc, op.scale[o], range)
             : Requantize(acc, {op.mult[o], op.shift[o]}, workload.rounding, range);
}

}  // namespace kiln
