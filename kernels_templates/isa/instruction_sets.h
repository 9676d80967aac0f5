#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "kernels_templates/isa/vector_isa.h"

namespace kiln {

// This is an instruction set that kernels are written for: a row of the one table by which
// templates are registered, machines are probed and tests are run. What its features are called,
// how they are found and what the compiler is told of them: ops/isa.h.
struct InstructionSet {
  // Its ways to multiply, in the order in which a template offers them. All have one name and need
  // the same features.
  std::vector<const VectorIsa*> methods;
  // A processor that has these features and none of a richer set, as clang and qemu call it: tests
  // compile and emulate for it.
  std::string_view processor;

  // The first method: depthwise templates, and all that is asked of a set as a whole.
  const VectorIsa& isa() const { return *methods[0]; }
};

// The poorest first.
std::span<const InstructionSet> InstructionSets();

// The richest of those that need no more than these features.
const InstructionSet& RichestSet(IsaMask features);

}  // namespace kiln
