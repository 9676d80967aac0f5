#include "models/network_builder.h"

#include <utility>

#include "models/classes.h"
#include "models/output_sizes.h"
#include "models/padding.h"

namespace kiln {
namespace {

Padding PaddingOf(std::int32_t in, std::int32_t kernel, const Window& window) {
  switch (window.pad) {
    case Window::Pad::kSame:
      return SamePadding(in, kernel, window.stride, 1);
    case Window::Pad::kValid:
      return {};
    case Window::Pad::kSymmetric:
      return {window.border, window.border};
  }
  return {};
}

}  // namespace

Activations Pool(Activations in, Window window) {
  const auto outputs = [&](std::int32_t size, std::int32_t kernel) {
    return static_cast<std::int32_t>(
        WindowOutputs(size, PaddingOf(size, kernel, window), kernel, window.stride, 1));
  };
  return {outputs(in.h, window.h), outputs(in.w, window.w), in.c};
}

Activations NetworkBuilder::Conv(const std::string& name, Activations in, std::int32_t channels,
                                 Window window, Activation act) {
  Workload workload{.op = OpKind::kConv2d, .h = in.h, .w = in.w, .c = in.c, .o = channels};
  return Add(name, workload, window, act);
}

Activations NetworkBuilder::Depthwise(const std::string& name, Activations in, Window window,
                                      Activation act) {
  Workload workload{.op = OpKind::kDepthwise, .h = in.h, .w = in.w, .c = in.c, .o = in.c};
  return Add(name, workload, window, act);
}

void NetworkBuilder::Dense(const std::string& name, std::int32_t inputs, std::int32_t outputs) {
  Workload workload{.op = OpKind::kDense, .c = inputs, .o = outputs};
  Add(name, workload, Window{}, Activation::kNone);
}

Activations NetworkBuilder::Add(const std::string& name, Workload workload, Window window,
                                Activation act) {
  const Padding rows = PaddingOf(workload.h, window.h, window);
  const Padding columns = PaddingOf(workload.w, window.w, window);
  workload.kh = window.h;
  workload.kw = window.w;
  workload.stride_h = workload.stride_w = window.stride;
  workload.pad_top = rows.before;
  workload.pad_bottom = rows.after;
  workload.pad_left = columns.before;
  workload.pad_right = columns.after;
  const Activations out{workload.out_h(), workload.out_w(), workload.o};
  StatusOr<Workload> classified = WithDefaultClasses(workload, act);
  const Status status =
      classified.ok() ? CheckOutput(*classified, {1, out.h, out.w, out.c}) : classified.status();
  if (status.ok()) {
    network_.layers.push_back({.name = name, .workload = *classified, .values = std::nullopt});
  } else if (status_.ok()) {
    status_ = Error(status.code(), network_.name, ": layer ", name, ": ", Message(status));
  }
  return out;
}

StatusOr<Network> NetworkBuilder::Take() {
  RETURN_IF_ERROR(status_);
  return std::move(network_);
}

}  // namespace kiln
