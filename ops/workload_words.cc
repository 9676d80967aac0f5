#include "ops/workload_words.h"

#include <algorithm>

namespace kiln {
namespace {

std::string Product(std::int32_t a, std::int32_t b) {
  return std::to_string(a) + "x" + std::to_string(b);
}

std::string DescribeDense(const Workload& w) {
  const std::string rows = w.n == 1 ? "" : std::to_string(w.n) + "x";
  return "fc " + rows + std::to_string(w.c) + "->" + std::to_string(w.o);
}

}  // namespace

std::string Describe(const Workload& w) {
  if (w.op == OpKind::kDense) return DescribeDense(w);
  const bool depthwise = w.op == OpKind::kDepthwise;
  std::string text = depthwise ? "dw" : w.kh * w.kw == 1 ? "pw" : "conv";
  if (w.kh * w.kw != 1) text += Product(w.kh, w.kw);
  if (w.stride_h > 1 || w.stride_w > 1) {
    text += "s" + std::to_string(std::max(w.stride_h, w.stride_w));
  }
  if (w.dilation_h > 1 || w.dilation_w > 1) {
    text += "d" + std::to_string(std::max(w.dilation_h, w.dilation_w));
  }
  text += " " + Product(w.h, w.w) + " " + std::to_string(w.c);
  if (!depthwise) text += "->" + std::to_string(w.o);
  if (w.multiplier > 1) text += " m" + std::to_string(w.multiplier);
  if (w.groups > 1 && !depthwise) text += " g" + std::to_string(w.groups);
  if (w.n > 1) text += " n" + std::to_string(w.n);
  return text;
}

double Gops(const Workload& workload, double ns) {
  return ns > 0 ? 2.0 * static_cast<double>(workload.macs()) / ns : 0;
}

}  // namespace kiln
