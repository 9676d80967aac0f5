#pragma once

#include <cstdint>
#include <vector>

#include "described_model.h"

namespace kiln {

// A model of one to four operators, the same for a seed on every machine: odd shapes, every option,
// windows with one output and strides over the kernel, scales of 0, zero points and multipliers at
// their ends, weights of -128. Sums fit 32 bits almost always, as the importer demands.
DescribedModel RandomModel(std::uint64_t seed);

// An input for it: noise, the two ends of the range, or real zeros, by `number`.
std::vector<std::uint8_t> RandomInput(const DescribedModel& model, std::uint64_t number);

}  // namespace kiln
