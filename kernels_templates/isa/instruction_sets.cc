#include "kernels_templates/isa/instruction_sets.h"

#include <algorithm>

#include "kernels_templates/isa/avx.h"
#include "kernels_templates/isa/neon.h"

namespace kiln {

// A new instruction set is a file with its vocabulary and a row here.
std::span<const InstructionSet> InstructionSets() {
  static const std::vector<InstructionSet> sets = {
      {{&Portable()}, "x86-64"},
      {{&Avx2()}, "haswell"},
      {{&AvxVnni()}, "alderlake"},
      {{&Avx512Vnni()}, "cascadelake"},
      {{&NeonMull(), &NeonMlal()}, "cortex-a72"},
      {{&Dotprod()}, "cortex-a76"},
  };
  return sets;
}

const InstructionSet& RichestSet(IsaMask features) {
  const auto sets = InstructionSets();
  return *std::find_if(sets.rbegin(), sets.rend(), [&](const InstructionSet& set) {
    return (set.isa().required & ~features) == 0;
  });
}

}  // namespace kiln
