/* The kernel ABI: one contract for tuning, export, arm64 and threads.
 *
 * One object = one (workload, target, config). The names below are prefixed with `kiln_` and 16 hex
 * digits of the code digest, written P here. All memory and threads belong to the caller:
 *   1. allocate P_info.packed_bytes, shared_bytes, and thread_bytes for each thread (64-byte
 * aligned);
 *   2. P_pack(op, packed) once;
 *   3. for each phase, in order: split [0, chunks[phase]) between threads and call P_run for each
 * piece, each thread with a thread_ws of its own; then a barrier. Any order and any split gives the
 * same bytes. x and y need no alignment. packed, x are read-only in P_run. Nothing outside of the
 * exact sizes is touched.
 */
#ifndef KILN_KERNEL_H_
#define KILN_KERNEL_H_

#include <stdint.h>

enum { KILN_ABI = 1, KILN_MAX_PHASES = 4, KILN_OK = 0, KILN_E_CLASS = 1 };

/* One fused operator: values are data, never code. */
typedef struct {
  const void* w; /* canonical bytes: conv OHWI, depthwise 1HWC, dense OI */
  const int32_t *bias, *mult,
      *shift; /* [co]; bias may be NULL; TFLite multiplier and shift (double, single rules) */
  const float* scale; /* [co]; float rule only, else NULL */
  int32_t x_zp, w_zp, y_zp, act_min, act_max;
} kiln_op;

typedef struct {
  uint32_t abi, n_ops, n_phases, reserved;
  uint64_t isa; /* required feature bits (ops/isa.h); the host refuses before any call */
  uint32_t chunks[KILN_MAX_PHASES]; /* independent pieces per phase; a barrier between phases */
  uint64_t x_bytes, y_bytes, packed_bytes, shared_bytes, thread_bytes; /* all exact */
} kiln_info;

/* const kiln_info P_info;
 * KILN_E_CLASS: the values are outside the class that this object was compiled for. */
typedef int kiln_pack_fn(const kiln_op* ops, void* packed);
typedef void kiln_run_fn(const void* packed, const void* x, void* y, void* shared_ws,
                         void* thread_ws, uint32_t phase, uint32_t begin,
                         uint32_t end); /* chunks [begin, end); reentrant */

#endif /* KILN_KERNEL_H_ */
