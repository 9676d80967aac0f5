#pragma once

#include <string_view>

#include "base/status.h"
#include "ops/workload.h"

namespace kiln {

// Reads a canonical key. Strict: Key(*ParseWorkload(k)) == k for every k that is accepted, and the
// error (kInvalidArgument) says at which character what was expected. Grammar:
//
//   key       = conv2d | depthwise | dense
//   conv2d    = "conv2d/"    type "/n" N "h" N "w" N "c" N "/o" N kernel "/g" N tail
//   depthwise = "depthwise/" type "/n" N "h" N "w" N "c" N "/m" N kernel tail
//   dense     = "dense/"     type "/n" N "c" N "/o" N tail
//   kernel    = "/k" N "x" N "/s" N "x" N "/p" Z "," Z "," Z "," Z "/d" N "x" N
//   tail      = "/" ("pc" | "pt") "/" ("wz0" | "wz") "/act=" act "/rq=" form "/" rounding
//   type      = "i8" | "u8s8" | "u8"          act      = "none" | "lo" | "lohi"
//   rounding  = "double" | "single" | "float"
//   form      = "step1" | "step2" | "signed1" | "signed2" | "int7" | "int9" | "gen" | "float"
//   N, Z      = decimal without leading zeros; N from 1, Z from 0, at most 1,000,000
//
// kernel: height x width; stride; padding top,left,bottom,right; dilation. A conv2d with as many
// groups as input channels is written as depthwise, a 1x1 conv2d of a 1x1 image as it stands (its
// layout in a network differs from dense only in name, but its data are the same bytes: it is
// written as dense). Only `u8` may have wz; rq=float goes with rounding float and with no other.
StatusOr<Workload> ParseWorkload(std::string_view key);

// The same computation in the form that the key demands, or why there is no such computation:
// sizes out of range, an empty output, groups that do not divide, classes that contradict.
StatusOr<Workload> Canonical(Workload workload);

}  // namespace kiln
