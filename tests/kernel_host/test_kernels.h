#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace kiln {

inline constexpr char kTestSymbol[] = "kiln_0123456789abcdef";

// The object of kernels/<name>.c; empty where there is no clang 19 to compile it.
inline std::string TestKernel(const std::string& name) {
  std::ifstream file(std::string(KILN_TEST_KERNELS "/") + name + ".so", std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace kiln

#define SKIP_WITHOUT_TEST_KERNELS()                                                        \
  if (::kiln::TestKernel("good").empty()) {                                                \
    GTEST_SKIP() << "SKIPPED: the test kernels were not built, clang-19 is not installed"; \
  }                                                                                        \
  static_assert(true)
