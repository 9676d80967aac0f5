#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "models/model.h"

namespace kiln {

// What flows between the layers of a network, one image high, wide and deep.
struct Activations {
  std::int32_t h = 0, w = 0, c = 0;
};

// A convolution, depthwise convolution or pooling window: height, width, stride and padding.
struct Window {
  enum class Pad : std::uint8_t { kSame, kValid, kSymmetric };
  std::int32_t h = 1, w = 1, stride = 1;
  Pad pad = Pad::kSame;  // TensorFlow's SAME or VALID; kSymmetric: `border` on each side (PyTorch)
  std::int32_t border = 0;
};

// This collects the layers of a network from its architecture: each call adds one layer and gives
// its output, so that branches are written as they are drawn. int8, one scale per output channel,
// classes as WithDefaultClasses says.
class NetworkBuilder {
 public:
  explicit NetworkBuilder(std::string name) { network_.name = std::move(name); }

  Activations Conv(const std::string& name, Activations in, std::int32_t channels, Window window,
                   Activation act);
  Activations Depthwise(const std::string& name, Activations in, Window window, Activation act);
  void Dense(const std::string& name, std::int32_t inputs, std::int32_t outputs);

  // The network, or the first layer that cannot be.
  StatusOr<Network> Take();

 private:
  Activations Add(const std::string& name, Workload workload, Window window, Activation act);
  Network network_;
  Status status_;
};

// The output of a pooling window: no layer.
Activations Pool(Activations in, Window window);

}  // namespace kiln
