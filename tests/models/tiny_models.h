#pragma once

#include <cstdint>
#include <vector>

#include "described_model.h"

namespace kiln {

// Three small networks, one per type of models that Kiln imports: int8 with a scale per channel, int8
// with one scale, legacy uint8. Each has a strided convolution, a depthwise one, a 1x1, a dilated one
// and a fully connected layer. tests/data/models holds their files and what the definition makes of
// TinyInput(model, 0) and (model, 1); `tiny_models tests/data/models` writes them again.
std::vector<DescribedModel> TinyModels();
std::vector<std::uint8_t> TinyInput(const DescribedModel& model, std::uint64_t number);

}  // namespace kiln
