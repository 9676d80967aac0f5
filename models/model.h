#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "ops/op_data.h"
#include "ops/workload.h"

namespace kiln {

// One operator of a network that Kiln tunes: its workload and, from a model file, its values.
struct Layer {
  std::string name;  // of its output tensor, or "conv3x3s2_224x224_3to32"
  Workload workload;
  std::optional<OpValues> values;  // from a .tflite file
  std::int32_t output_tensor = -1;
};

// A network as a list of layers in execution order. Operators that Kiln does not tune are counted.
struct Network {
  std::string name;
  std::vector<Layer> layers;
  std::vector<std::pair<std::string, int>> skipped;  // operator name, how many
};

// kNotFound: there is nothing to do for the network, no layer that Kiln tunes. Says what there is.
Status CheckHasLayers(const Network& network);

// A workload that occurs `count` times.
struct WeightedWorkload {
  Workload workload;
  std::int32_t count = 1;
  std::vector<std::string> layers;  // their names
};
std::vector<WeightedWorkload> UniqueWorkloads(const Network& network);

// One of several networks that are tuned together, and how much its time counts beside the others'.
struct WeightedNetwork {
  Network network;
  double weight = 1;
};

// A workload of such networks, whichever have it.
struct SharedWorkload {
  struct Use {
    std::size_t network = 0;  // index
    std::int32_t count = 0;   // how often it occurs there
  };
  Workload workload;
  std::vector<Use> uses;  // by network
  // The sum of network weight times count: what a nanosecond less of it saves over all networks.
  double weight = 0;
};
// In order of their first occurrence.
std::vector<SharedWorkload> SharedWorkloads(std::span<const WeightedNetwork> networks);

// Imports a .tflite file. kInvalidArgument: not one, damaged, or of a version that is not known;
// nothing of a refused file is used. What is odd about one operator refuses nothing: it is skipped.
StatusOr<Network> ImportTflite(const std::string& path);

// mobilenet_v1, mobilenet_v2, resnet18, inception_v1, inception_v3: int8, per channel, built from
// the architecture. kNotFound lists the names.
StatusOr<Network> BuiltinNetwork(std::string_view name);
std::vector<std::string> BuiltinNetworkNames();

// What a layer list does not say, or is to say otherwise.
struct LayerListOptions {
  // i8 unless said; u8 is the legacy one, with a weight zero point and one scale for all channels.
  std::optional<DataType> type;
  std::optional<Activation> act;  // of all layers, instead of the column
};

// A layer list: the columns of peers' layers.csv (name,h,w,ic,oc,kh,kw,stride,pad,groups,..,act) or
// of a workload table (op,count,n,h,w,ci,co,...), told by its header. Rows keep their order; lines
// that begin with # are left out. Errors name the line; options for a workload table, which says
// everything itself, are one.
StatusOr<Network> ReadLayersCsv(const std::string& path, const LayerListOptions& options = {});

}  // namespace kiln
