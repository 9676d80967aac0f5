// Inception V1 (Szegedy et al. 2014) as TF-slim builds it, with 3x3 in place of the 5x5 branches,
// and Inception V3 (Szegedy et al. 2015). A `Mixed` block runs branches side by side on one input
// and concatenates their outputs.
#include "models/inception.h"

#include <string>

#include "models/network_builder.h"

namespace kiln {
namespace {

constexpr Window kValid3x3{.h = 3, .w = 3, .pad = Window::Pad::kValid};
constexpr Window kValid3x3s2{.h = 3, .w = 3, .stride = 2, .pad = Window::Pad::kValid};
constexpr Window kSame3x3s2{.h = 3, .w = 3, .stride = 2};

// A block under construction: its convolutions are named MIXED/BRANCH/LAYER.
class Mixed {
 public:
  Mixed(NetworkBuilder& builder, std::string name) : builder_(builder), name_(std::move(name)) {}

  Activations Conv(int branch, const std::string& layer, Activations in, std::int32_t channels,
                   Window window) {
    return builder_.Conv(name_ + "/Branch_" + std::to_string(branch) + "/" + layer, in, channels,
                         window, Activation::kLo);
  }

 private:
  NetworkBuilder& builder_;
  std::string name_;
};

// --- V1 ---

struct V1Channels {
  std::int32_t b0, b1_reduce, b1, b2_reduce, b2, b3;
};

Activations V1Mixed(NetworkBuilder& builder, const std::string& name, Activations in,
                    const V1Channels& n) {
  Mixed mixed(builder, name);
  mixed.Conv(0, "Conv2d_0a_1x1", in, n.b0, {});
  Activations b1 = mixed.Conv(1, "Conv2d_0a_1x1", in, n.b1_reduce, {});
  mixed.Conv(1, "Conv2d_0b_3x3", b1, n.b1, {.h = 3, .w = 3});
  Activations b2 = mixed.Conv(2, "Conv2d_0a_1x1", in, n.b2_reduce, {});
  mixed.Conv(2, "Conv2d_0b_3x3", b2, n.b2, {.h = 3, .w = 3});
  mixed.Conv(3, "Conv2d_0b_1x1", in, n.b3, {});
  return {in.h, in.w, n.b0 + n.b1 + n.b2 + n.b3};
}

// --- V3 ---

// 35x35: 1x1; 5x5; two 3x3; pooling.
Activations V3MixedA(NetworkBuilder& builder, const std::string& name, Activations in,
                     std::int32_t pool_channels) {
  Mixed mixed(builder, name);
  mixed.Conv(0, "Conv2d_0a_1x1", in, 64, {});
  Activations b1 = mixed.Conv(1, "Conv2d_0a_1x1", in, 48, {});
  mixed.Conv(1, "Conv2d_0b_5x5", b1, 64, {.h = 5, .w = 5});
  Activations b2 = mixed.Conv(2, "Conv2d_0a_1x1", in, 64, {});
  b2 = mixed.Conv(2, "Conv2d_0b_3x3", b2, 96, {.h = 3, .w = 3});
  mixed.Conv(2, "Conv2d_0c_3x3", b2, 96, {.h = 3, .w = 3});
  mixed.Conv(3, "Conv2d_0b_1x1", in, pool_channels, {});
  return {in.h, in.w, 64 + 64 + 96 + pool_channels};
}

// 35x35 to 17x17.
Activations V3Mixed6a(NetworkBuilder& builder, Activations in) {
  Mixed mixed(builder, "Mixed_6a");
  Activations out = mixed.Conv(0, "Conv2d_1a_3x3", in, 384, kValid3x3s2);
  Activations b1 = mixed.Conv(1, "Conv2d_0a_1x1", in, 64, {});
  b1 = mixed.Conv(1, "Conv2d_0b_3x3", b1, 96, {.h = 3, .w = 3});
  mixed.Conv(1, "Conv2d_1a_3x3", b1, 96, kValid3x3s2);
  return {out.h, out.w, 384 + 96 + in.c};
}

// 17x17: 7x7 kernels taken apart into 1x7 and 7x1.
Activations V3MixedB(NetworkBuilder& builder, const std::string& name, Activations in,
                     std::int32_t channels) {
  const Window row{.h = 1, .w = 7}, column{.h = 7, .w = 1};
  Mixed mixed(builder, name);
  mixed.Conv(0, "Conv2d_0a_1x1", in, 192, {});
  Activations b1 = mixed.Conv(1, "Conv2d_0a_1x1", in, channels, {});
  b1 = mixed.Conv(1, "Conv2d_0b_1x7", b1, channels, row);
  mixed.Conv(1, "Conv2d_0c_7x1", b1, 192, column);
  Activations b2 = mixed.Conv(2, "Conv2d_0a_1x1", in, channels, {});
  b2 = mixed.Conv(2, "Conv2d_0b_7x1", b2, channels, column);
  b2 = mixed.Conv(2, "Conv2d_0c_1x7", b2, channels, row);
  b2 = mixed.Conv(2, "Conv2d_0d_7x1", b2, channels, column);
  mixed.Conv(2, "Conv2d_0e_1x7", b2, 192, row);
  mixed.Conv(3, "Conv2d_0b_1x1", in, 192, {});
  return {in.h, in.w, 4 * 192};
}

// 17x17 to 8x8.
Activations V3Mixed7a(NetworkBuilder& builder, Activations in) {
  Mixed mixed(builder, "Mixed_7a");
  Activations b0 = mixed.Conv(0, "Conv2d_0a_1x1", in, 192, {});
  Activations out = mixed.Conv(0, "Conv2d_1a_3x3", b0, 320, kValid3x3s2);
  Activations b1 = mixed.Conv(1, "Conv2d_0a_1x1", in, 192, {});
  b1 = mixed.Conv(1, "Conv2d_0b_1x7", b1, 192, {.h = 1, .w = 7});
  b1 = mixed.Conv(1, "Conv2d_0c_7x1", b1, 192, {.h = 7, .w = 1});
  mixed.Conv(1, "Conv2d_1a_3x3", b1, 192, kValid3x3s2);
  return {out.h, out.w, 320 + 192 + in.c};
}

// 8x8: branches that end in 1x3 and 3x1 side by side.
Activations V3MixedC(NetworkBuilder& builder, const std::string& name, Activations in) {
  const Window row{.h = 1, .w = 3}, column{.h = 3, .w = 1};
  Mixed mixed(builder, name);
  mixed.Conv(0, "Conv2d_0a_1x1", in, 320, {});
  Activations b1 = mixed.Conv(1, "Conv2d_0a_1x1", in, 384, {});
  mixed.Conv(1, "Conv2d_0b_1x3", b1, 384, row);
  mixed.Conv(1, "Conv2d_0c_3x1", b1, 384, column);
  Activations b2 = mixed.Conv(2, "Conv2d_0a_1x1", in, 448, {});
  b2 = mixed.Conv(2, "Conv2d_0b_3x3", b2, 384, {.h = 3, .w = 3});
  mixed.Conv(2, "Conv2d_0c_1x3", b2, 384, row);
  mixed.Conv(2, "Conv2d_0d_3x1", b2, 384, column);
  mixed.Conv(3, "Conv2d_0b_1x1", in, 192, {});
  return {in.h, in.w, 320 + 4 * 384 + 192};
}

}  // namespace

StatusOr<Network> InceptionV1() {
  NetworkBuilder net("inception_v1");
  Activations x{224, 224, 3};
  x = net.Conv("Conv2d_1a_7x7", x, 64, {.h = 7, .w = 7, .stride = 2}, Activation::kLo);
  x = Pool(x, kSame3x3s2);
  x = net.Conv("Conv2d_2b_1x1", x, 64, {}, Activation::kLo);
  x = net.Conv("Conv2d_2c_3x3", x, 192, {.h = 3, .w = 3}, Activation::kLo);
  x = Pool(x, kSame3x3s2);
  x = V1Mixed(net, "Mixed_3b", x, {64, 96, 128, 16, 32, 32});
  x = V1Mixed(net, "Mixed_3c", x, {128, 128, 192, 32, 96, 64});
  x = Pool(x, kSame3x3s2);
  x = V1Mixed(net, "Mixed_4b", x, {192, 96, 208, 16, 48, 64});
  x = V1Mixed(net, "Mixed_4c", x, {160, 112, 224, 24, 64, 64});
  x = V1Mixed(net, "Mixed_4d", x, {128, 128, 256, 24, 64, 64});
  x = V1Mixed(net, "Mixed_4e", x, {112, 144, 288, 32, 64, 64});
  x = V1Mixed(net, "Mixed_4f", x, {256, 160, 320, 32, 128, 128});
  x = Pool(x, {.h = 2, .w = 2, .stride = 2});
  x = V1Mixed(net, "Mixed_5b", x, {256, 160, 320, 32, 128, 128});
  x = V1Mixed(net, "Mixed_5c", x, {384, 192, 384, 48, 128, 128});
  net.Dense("Logits", x.c, 1000);
  return net.Take();
}

StatusOr<Network> InceptionV3() {
  NetworkBuilder net("inception_v3");
  Activations x{299, 299, 3};
  x = net.Conv("Conv2d_1a_3x3", x, 32, kValid3x3s2, Activation::kLo);
  x = net.Conv("Conv2d_2a_3x3", x, 32, kValid3x3, Activation::kLo);
  x = net.Conv("Conv2d_2b_3x3", x, 64, {.h = 3, .w = 3}, Activation::kLo);
  x = Pool(x, kValid3x3s2);
  x = net.Conv("Conv2d_3b_1x1", x, 80, {}, Activation::kLo);
  x = net.Conv("Conv2d_4a_3x3", x, 192, kValid3x3, Activation::kLo);
  x = Pool(x, kValid3x3s2);
  x = V3MixedA(net, "Mixed_5b", x, 32);
  x = V3MixedA(net, "Mixed_5c", x, 64);
  x = V3MixedA(net, "Mixed_5d", x, 64);
  x = V3Mixed6a(net, x);
  x = V3MixedB(net, "Mixed_6b", x, 128);
  x = V3MixedB(net, "Mixed_6c", x, 160);
  x = V3MixedB(net, "Mixed_6d", x, 160);
  x = V3MixedB(net, "Mixed_6e", x, 192);
  x = V3Mixed7a(net, x);
  x = V3MixedC(net, "Mixed_7b", x);
  x = V3MixedC(net, "Mixed_7c", x);
  net.Dense("Logits", x.c, 1000);
  return net.Take();
}

}  // namespace kiln
