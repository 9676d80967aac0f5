#include "models/tflite_import.h"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace kiln {
namespace {

void Count(const std::string& name, int how_many, Network& network) {
  for (auto& [known, count] : network.skipped) {
    if (known == name) {
      count += how_many;
      return;
    }
  }
  network.skipped.emplace_back(name, how_many);
}

}  // namespace

ImportedModel ImportOperators(const TfliteModel& model, const std::string& path) {
  ImportedModel imported;
  imported.network.name = std::filesystem::path(path).stem().string();
  for (std::size_t i = 0; i < model.operators.size(); ++i) {
    ImportedOperator op = ImportOperator(model, i);
    imported.layer_of.emplace_back();
    if (!op.layer) {
      Count(op.skipped, 1, imported.network);
      continue;
    }
    imported.layer_of.back() = imported.network.layers.size();
    imported.network.layers.push_back(*std::move(op.layer));
  }
  if (model.other_operators > 0) {
    Count("operators of other subgraphs", static_cast<int>(model.other_operators),
          imported.network);
  }
  return imported;
}

StatusOr<Network> ImportTflite(const std::string& path) {
  ASSIGN_OR_RETURN(const TfliteModel model, ReadTflite(path));
  return ImportOperators(model, path).network;
}

}  // namespace kiln
