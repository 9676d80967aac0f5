#pragma once

#include <string>

#include "ops/workload.h"

// What people read of a workload.

namespace kiln {

// "conv3x3s2 56x56 64->128" for people; the key is for programs.
std::string Describe(const Workload& workload);

// GOP/s: a multiply-accumulate counts as two operations. 0 for a time that is not positive.
double Gops(const Workload& workload, double ns);

}  // namespace kiln
