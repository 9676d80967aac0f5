// The networks that Kiln knows by name. Sources: MobileNetV1 (Howard et al. 2017), MobileNetV2
// (Sandler et al. 2018), both at width 1.0 and 224x224 with TensorFlow's SAME padding; ResNet-18
// (He et al. 2015) at 224x224 with PyTorch's symmetric padding. The classifier is dense, to 1000
// classes. ReLU6 counts as `lo`: quantized networks choose the output scale so that 6 is its top
// value.
#include <array>
#include <string>

#include "models/inception.h"
#include "models/model.h"
#include "models/network_builder.h"

namespace kiln {
namespace {

StatusOr<Network> MobileNetV1() {
  struct Block {
    std::int32_t stride, channels;
  };
  constexpr Block kBlocks[] = {{1, 64},  {2, 128},  {1, 128}, {2, 256}, {1, 256},
                               {2, 512}, {1, 512},  {1, 512}, {1, 512}, {1, 512},
                               {1, 512}, {2, 1024}, {1, 1024}};
  NetworkBuilder net("mobilenet_v1");
  Activations x =
      net.Conv("Conv2d_0", {224, 224, 3}, 32, {.h = 3, .w = 3, .stride = 2}, Activation::kLo);
  int number = 1;
  for (const Block& block : kBlocks) {
    const std::string name = "Conv2d_" + std::to_string(number++);
    x = net.Depthwise(name + "_depthwise", x, {.h = 3, .w = 3, .stride = block.stride},
                      Activation::kLo);
    x = net.Conv(name + "_pointwise", x, block.channels, {}, Activation::kLo);
  }
  net.Dense("Logits", x.c, 1000);
  return net.Take();
}

StatusOr<Network> MobileNetV2() {
  struct Stage {
    std::int32_t expansion, channels, blocks, stride;
  };
  constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                               {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  NetworkBuilder net("mobilenet_v2");
  Activations x =
      net.Conv("Conv", {224, 224, 3}, 32, {.h = 3, .w = 3, .stride = 2}, Activation::kLo);
  int number = 0;
  for (const Stage& stage : kStages) {
    for (std::int32_t i = 0; i < stage.blocks; ++i) {
      const std::string name = "expanded_conv_" + std::to_string(number++);
      const std::int32_t stride = i == 0 ? stage.stride : 1;
      if (stage.expansion != 1) {
        x = net.Conv(name + "/expand", x, x.c * stage.expansion, {}, Activation::kLo);
      }
      x = net.Depthwise(name + "/depthwise", x, {.h = 3, .w = 3, .stride = stride},
                        Activation::kLo);
      x = net.Conv(name + "/project", x, stage.channels, {}, Activation::kNone);
    }
  }
  x = net.Conv("Conv_1", x, 1280, {}, Activation::kLo);
  net.Dense("Logits", x.c, 1000);
  return net.Take();
}

StatusOr<Network> ResNet18() {
  const auto window = [](std::int32_t kernel, std::int32_t stride) {
    return Window{.h = kernel,
                  .w = kernel,
                  .stride = stride,
                  .pad = Window::Pad::kSymmetric,
                  .border = kernel / 2};
  };
  NetworkBuilder net("resnet18");
  Activations x = net.Conv("conv1", {224, 224, 3}, 64, window(7, 2), Activation::kLo);
  x = Pool(x, window(3, 2));
  for (int stage = 1; stage <= 4; ++stage) {
    const std::int32_t channels = 64 << (stage - 1);
    for (int block = 0; block < 2; ++block) {
      const std::string name = "layer" + std::to_string(stage) + "." + std::to_string(block);
      const std::int32_t stride = stage > 1 && block == 0 ? 2 : 1;
      Activations y = net.Conv(name + ".conv1", x, channels, window(3, stride), Activation::kLo);
      y = net.Conv(name + ".conv2", y, channels, window(3, 1), Activation::kNone);
      if (stride != 1) {
        net.Conv(name + ".downsample", x, channels, window(1, stride), Activation::kNone);
      }
      x = y;
    }
  }
  net.Dense("fc", x.c, 1000);
  return net.Take();
}

struct Builtin {
  const char* name;
  StatusOr<Network> (*build)();
};
constexpr std::array kBuiltins = {
    Builtin{"mobilenet_v1", MobileNetV1}, Builtin{"mobilenet_v2", MobileNetV2},
    Builtin{"resnet18", ResNet18}, Builtin{"inception_v1", InceptionV1},
    Builtin{"inception_v3", InceptionV3}};

}  // namespace

StatusOr<Network> BuiltinNetwork(std::string_view name) {
  std::string names;
  for (const Builtin& builtin : kBuiltins) {
    if (name == builtin.name) return builtin.build();
    names += names.empty() ? "" : ", ";
    names += builtin.name;
  }
  return Error(StatusCode::kNotFound, "no network named ", name, "; known: ", names);
}

std::vector<std::string> BuiltinNetworkNames() {
  std::vector<std::string> names;
  names.reserve(kBuiltins.size());
  for (const Builtin& builtin : kBuiltins) names.emplace_back(builtin.name);
  return names;
}

}  // namespace kiln
