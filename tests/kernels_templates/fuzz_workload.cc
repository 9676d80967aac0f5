#include "fuzz_workload.h"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "kernels_templates/depthwise/depthwise_schedule.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

class Drawing {
 public:
  explicit Drawing(Rng& rng) : rng_(rng) {}

  // Any fields; they may be no computation.
  Workload Draw() {
    Workload w;
    w.op = OneIn(6) ? OpKind::kDense : OneIn(2) ? OpKind::kConv2d : OpKind::kDepthwise;
    w.type = static_cast<DataType>(rng_.Below(3));
    w.n = OneIn(6) ? UpTo(3) : 1;
    const bool real = OneIn(2);
    w.c = Channels(), w.o = Channels();
    if (w.op == OpKind::kDense) {
      w.n = UpTo(OneIn(4) ? 40 : 4);
      if (OneIn(3)) w.c = UpTo(1500);
    } else {
      DrawImage(w);
      real ? DrawRealWindow(w) : DrawOddWindow(w);
    }
    DrawGroups(w);
    DrawClasses(w);
    return w;
  }

 private:
  bool OneIn(std::uint64_t n) { return rng_.Below(n) == 0; }
  std::int32_t Between(std::int32_t low, std::int32_t high) {
    return static_cast<std::int32_t>(rng_.Between(low, high));
  }
  std::int32_t UpTo(std::int32_t high) { return Between(1, high); }
  std::int32_t Of(std::initializer_list<std::int32_t> values) {
    return values.begin()[rng_.Below(values.size())];
  }

  // Where blocks are filled, nearly filled and just overflow; what networks have; anything.
  std::int32_t Channels() {
    switch (rng_.Below(5)) {
      case 0:
        return UpTo(9);
      case 1:
        return Of({8,   16,  24,  32,  40,  48,  56,  64,  72,  80,  88, 96,
                   112, 120, 128, 144, 160, 192, 240, 256, 320, 384, 512});
      case 2:
        return std::max(1, 8 * UpTo(18) + Between(-1, 1));
      case 3:
        return Of({8, 16, 16, 24, 32, 32, 48, 64});
      default:
        return UpTo(150);
    }
  }

  void DrawImage(Workload& w) {
    const auto side = [this] {
      return OneIn(2) ? UpTo(20)
                      : Of({7, 8, 10, 12, 14, 16, 19, 20, 24, 28, 32, 40, 49, 56, 64, 96, 112, 160,
                            224});
    };
    w.h = side();
    w.w = OneIn(2) ? w.h : side();
    if (OneIn(8)) w.h = 1;
    if (OneIn(8)) w.w = 1;
  }

  // Padding so that the output has the input's size over the stride (TFLite's SAME), or none.
  void DrawRealWindow(Workload& w) {
    w.kh = w.kw = Of({1, 3, 3, 3, 3, 5, 5, 7});
    w.stride_h = w.stride_w = Of({1, 1, 1, 2, 2});
    if (OneIn(12)) w.dilation_h = w.dilation_w = Of({2, 4});
    if (OneIn(4)) DrawLongKernel(w);
    if (OneIn(4)) return;
    const auto same = [](std::int32_t size, std::int32_t kernel, std::int32_t stride,
                         std::int32_t dilation) {
      const std::int32_t outputs = (size + stride - 1) / stride;
      return std::max(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size);
    };
    const std::int32_t rows = same(w.h, w.kh, w.stride_h, w.dilation_h);
    const std::int32_t columns = same(w.w, w.kw, w.stride_w, w.dilation_w);
    w.pad_top = rows / 2, w.pad_bottom = rows - rows / 2;
    w.pad_left = columns / 2, w.pad_right = columns - columns / 2;
  }

  // One-dimensional, as streaming and speech models have it.
  void DrawLongKernel(Workload& w) {
    const std::int32_t length = OneIn(2) ? Of({9, 10, 11, 13, 15}) : Between(2, kMaxKernel);
    (OneIn(2) ? w.kh : w.kw) = length;
    (w.kh == length ? w.kw : w.kh) = 1;
    if (OneIn(2)) (w.kh == length ? w.h : w.w) = length + Of({0, 0, 1, 3, 20});
  }

  void DrawOddWindow(Workload& w) {
    const auto extent = [this] { return OneIn(5) ? UpTo(9) : Of({1, 2, 3, 3, 4, 5}); };
    w.kh = extent(), w.kw = OneIn(2) ? w.kh : extent();
    if (OneIn(6)) DrawLongKernel(w);
    w.stride_h = OneIn(4) ? UpTo(5) : Of({1, 1, 2});
    w.stride_w = OneIn(3) ? UpTo(5) : w.stride_h;
    if (OneIn(4)) w.dilation_h = UpTo(3);
    if (OneIn(4)) w.dilation_w = UpTo(3);
    const auto pad = [&](std::int32_t kernel, std::int32_t dilation) {
      const std::int32_t most = (kernel - 1) * dilation;
      return OneIn(3) ? most / 2 : OneIn(2) ? 0 : Between(0, most);
    };
    w.pad_top = pad(w.kh, w.dilation_h), w.pad_bottom = pad(w.kh, w.dilation_h);
    w.pad_left = pad(w.kw, w.dilation_w), w.pad_right = pad(w.kw, w.dilation_w);
  }

  void DrawGroups(Workload& w) {
    if (w.op == OpKind::kDepthwise) {
      w.multiplier = OneIn(6) ? Of({2, 2, 3, 4, 8}) : 1;
      w.o = w.c * w.multiplier;
    } else if (w.op == OpKind::kConv2d && OneIn(4)) {
      w.groups = UpTo(4);
      w.c = std::max(1, w.c / w.groups) * w.groups, w.o = std::max(1, w.o / w.groups) * w.groups;
    }
  }

  void DrawClasses(Workload& w) {
    w.per_channel = OneIn(2);
    w.weight_zero_point = w.type == DataType::kU8 && !OneIn(3);
    w.full_range_weights = w.type != DataType::kU8 && OneIn(3);
    w.act = static_cast<Activation>(rng_.Below(3));
    w.rq = static_cast<RequantizeForm>(rng_.Below(8));
    w.rounding =
        w.rq == RequantizeForm::kFloat ? Rounding::kFloat : static_cast<Rounding>(rng_.Below(2));
  }

  Rng& rng_;
};

// Bytes are bounded too: a large image under a stride has few products.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 20;

}  // namespace

Workload DrawFuzzWorkload(Rng& rng, std::int64_t most_macs) {
  for (;;) {
    const auto w = Canonical(Drawing(rng).Draw());
    if (w.ok() && w->macs() <= most_macs &&
        std::max({w->x_bytes(), w->y_bytes(), w->w_bytes()}) <= kMostBytes) {
      return *w;
    }
  }
}

}  // namespace kiln
