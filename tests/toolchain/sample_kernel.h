#pragma once

#include <string>

namespace kiln {

// A small kernel of the ABI, y = x + 1 for 64 bytes, with `extra` before P_run and `statement` in
// it.
inline std::string SampleKernel(const std::string& symbol, const std::string& extra = "",
                                const std::string& statement = "") {
  return "#include \"kiln_kernel.h\"\n"
         "#define EXPORT __attribute__((visibility(\"default\")))\n"
         "EXPORT const kiln_info " +
         symbol + "_info = {KILN_ABI, 1, 1, 0, 0, {4}, 64, 64, 0, 0, 0};\n" + extra +
         "\nEXPORT int " + symbol +
         "_pack(const kiln_op *op, void *packed) { (void)op, (void)packed; return KILN_OK; }\n"
         "EXPORT void " +
         symbol +
         "_run(const void *packed, const void *x, void *y, void *shared_ws, void *thread_ws,\n"
         "    uint32_t phase, uint32_t begin, uint32_t end) {\n"
         "  (void)packed, (void)shared_ws, (void)thread_ws, (void)phase;\n"
         "  const uint8_t *from = x; uint8_t *to = y;\n"
         "  for (uint32_t i = 16 * begin; i < 16 * end; ++i) to[i] = (uint8_t)(from[i] + 1);\n" +
         statement + "\n}\n";
}

}  // namespace kiln
