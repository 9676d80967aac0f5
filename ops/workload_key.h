#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "ops/canonical_workload.h"
#include "ops/workload.h"

namespace kiln {

// Keys of workloads. Grammar:
//
//   key       = conv2d | depthwise | dense
//   conv2d    = "conv2d/"    type "/n" N "h" N "w" N "c" N "/o" N kernel "/g" N tail
//   depthwise = "depthwise/" type "/n" N "h" N "w" N "c" N "/m" N kernel tail
//   dense     = "dense/"     type "/n" N "c" N "/o" N tail
//   kernel    = "/k" N "x" N "/s" N "x" N "/p" Z "," Z "," Z "," Z "/d" N "x" N
//   tail      = "/" ("pc" | "pt") "/" ("wz0" | "wz0full" | "wz") "/act=" act "/rq=" form "/" rounding
//   type      = "i8" | "u8s8" | "u8"          act      = "none" | "lo" | "lohi"
//   rounding  = "double" | "single" | "float"
//   form      = "step1" | "step2" | "signed1" | "signed2" | "int7" | "int9" | "gen" | "float"
//   N, Z      = decimal without leading zeros; N from 1, Z from 0, at most 1,000,000
//
// kernel: height x width; stride; padding top,left,bottom,right; dilation.
//
// Equal computations have equal keys. What a computation does not depend on has a fixed value:
//   - a conv2d with one input channel per group and more than one group is a depthwise; a depthwise
//     of one channel is a conv2d; a 1x1 conv2d of a 1x1 image is a dense (for weights in the order
//     of the other op see CanonicalWeights in ops/op_data.h)
//   - the stride along an axis with one output is the least that leaves it one (1, where the window
//     fills the padded image); the dilation of a kernel of one tap is 1
//   - bottom and right padding that no window reaches is not there
//   - u8 weights have no wz0full: all of their kernels take any byte
//   - one output channel has pc; rounding single has int7 in place of int9 (the same arithmetic)
// And some are no computation:
//   - groups that divide neither c nor o; padding as large as the (dilated) kernel; no output
//   - more than 2^30 bytes of input, output or weights, more than 2^40 multiply-accumulates, or
//     more than 2^20 products in one sum (32 bits could not hold it unless weights were tiny)
//   - wz with a type other than u8; rq=float without rounding float or the other way round;
//     int7, step1 or step2 with rounding double and act=none: they need act_min >= y_zp

// Reads a canonical key. Strict: Key(*ParseWorkload(k)) == k for every k that is accepted. The
// error (kInvalidArgument) says at which character (from 1) what was expected; for a key that only
// has to be written otherwise it gives the canonical one.
StatusOr<Workload> ParseWorkload(std::string_view key);

// For what people type: reads any key of the grammar and gives the workload in canonical form.
StatusOr<Workload> ReadWorkload(std::string_view key);

// The key that a layer of this workload had before weights of -128 were a class and axes with one
// output kept a stride; nullopt: the same. It is another computation's, so trials stored under it are
// not this layer's; but whoever asks for the layer's may miss them.
std::optional<std::string> FormerKey(const Workload& workload);

// The same computation in the form that the key demands, or why there is no such computation.
// Fields that the op does not use are ignored.
StatusOr<Workload> Canonical(Workload workload);

}  // namespace kiln
