#include "daemon/job_network.h"

#include "ops/workload_key.h"

namespace kiln {
namespace {

LayerListOptions ListOptionsOf(const JobNetwork& network) {
  LayerListOptions list;
  if (network.layers_type == "i8") list.type = DataType::kI8;
  if (network.layers_type == "u8s8") list.type = DataType::kU8S8;
  if (network.layers_type == "u8") list.type = DataType::kU8;
  if (network.layers_act == "none") list.act = Activation::kNone;
  if (network.layers_act == "lo") list.act = Activation::kLo;
  if (network.layers_act == "lohi") list.act = Activation::kLoHi;
  return list;
}

StatusOr<Network> Read(const JobNetwork& network) {
  if (!network.model.empty()) return ImportTflite(network.model);
  if (!network.network.empty()) return BuiltinNetwork(network.network);
  if (!network.layers.empty()) return ReadLayersCsv(network.layers, ListOptionsOf(network));
  Network workloads;
  workloads.name = "workloads";
  for (const std::string& key : network.workloads) {
    ASSIGN_OR_RETURN(const Workload workload, ReadWorkload(key));
    workloads.layers.push_back({.name = key, .workload = workload});
  }
  return workloads;
}

}  // namespace

StatusOr<Network> NetworkOf(const JobNetwork& network) {
  ASSIGN_OR_RETURN(Network read, Read(network));
  RETURN_IF_ERROR(CheckHasLayers(read));
  return read;
}

}  // namespace kiln
