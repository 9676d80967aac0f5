#pragma once

#include <string>
#include <vector>

#include "described_model.h"

namespace kiln {

// The bytes of a .tflite file.
std::vector<std::uint8_t> FileOf(const DescribedModel& model);

// Writes DIR/NAME.tflite and the golden folder DIR/NAME.golden with what the definition makes of the
// inputs (format 1, docs/models.md; with intermediates).
void WriteWithGolden(const std::string& directory, const DescribedModel& model,
                     const std::vector<std::vector<std::uint8_t>>& inputs);

}  // namespace kiln
