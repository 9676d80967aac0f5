/* A correct kernel for one small workload, and the frame that the misbehaving ones put around it:
 *   conv2d/i8/n1h6w7c3/o5/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=none/rq=gen/double
 * Phase 0 pads the image into shared_ws, a chunk per padded row; phase 1 computes an output row per
 * chunk, with its accumulators in thread_ws. No size is a multiple of 64. */
#ifndef KILN_TESTS_KERNEL_HOST_KERNELS_NAIVE_H_
#define KILN_TESTS_KERNEL_HOST_KERNELS_NAIVE_H_

#include "kernel_host/kiln_kernel.h"

enum {
  kH = 6,
  kW = 7,
  kC = 3,
  kO = 5,
  kTaps = 3 * 3 * kC,
  kPaddedRow = (kW + 2) * kC,
  kXBytes = kH * kW * kC,
  kYBytes = kH * kW * kO,
  kSharedBytes = (kH + 2) * kPaddedRow,
  kThreadBytes = kO * 4,
};

typedef struct {
  int32_t bias[kO], mult[kO], shift[kO];
  int32_t x_zp, y_zp, act_min, act_max;
  int8_t w[kO * kTaps];
} packed_weights;

#define EXPORT __attribute__((visibility("default")))
/* The arguments override the fields before them. */
#define KERNEL_INFO(...)                                                                       \
  EXPORT const kiln_info kiln_0123456789abcdef_info = {.abi = KILN_ABI,                        \
                                                       .n_ops = 1,                             \
                                                       .n_phases = 2,                          \
                                                       .chunks = {kH + 2, kH},                 \
                                                       .x_bytes = kXBytes,                     \
                                                       .y_bytes = kYBytes,                     \
                                                       .packed_bytes = sizeof(packed_weights), \
                                                       .shared_bytes = kSharedBytes,           \
                                                       .thread_bytes = kThreadBytes,           \
                                                       __VA_ARGS__}
#define KERNEL_PACK EXPORT int kiln_0123456789abcdef_pack(const kiln_op* op, void* packed)
#define KERNEL_RUN                                                                        \
  EXPORT void kiln_0123456789abcdef_run(const void* packed, const void* x, void* y,       \
                                        void* shared_ws, void* thread_ws, uint32_t phase, \
                                        uint32_t begin, uint32_t end)
#define CORRECT_RUN() naive_run(packed, x, y, shared_ws, thread_ws, phase, begin, end)

static inline int naive_pack(const kiln_op* op, void* packed) {
  packed_weights* p = packed;
  for (int o = 0; o < kO; ++o) {
    p->bias[o] = op->bias[o];
    p->mult[o] = op->mult[o];
    p->shift[o] = op->shift[o];
  }
  p->x_zp = op->x_zp;
  p->y_zp = op->y_zp;
  p->act_min = op->act_min;
  p->act_max = op->act_max;
  for (int i = 0; i < kO * kTaps; ++i) p->w[i] = ((const int8_t*)op->w)[i];
  for (char* tail = (char*)p->w + kO * kTaps; tail < (char*)(p + 1); ++tail) *tail = 0;
  return KILN_OK;
}

/* TFLite's double rounding. */
static inline int32_t naive_requantize(int32_t acc, int32_t mult, int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
  const int64_t product = (int64_t)(int32_t)((uint32_t)acc << left) * mult;
  const int64_t nudge = product >= 0 ? (1ll << 30) : 1 - (1ll << 30);
  const int32_t high = (int32_t)((product + nudge) / (1ll << 31));
  const int32_t mask = (int32_t)((1ll << right) - 1), rest = high & mask;
  const int32_t threshold = (mask >> 1) + (high < 0);
  return (high >> right) + (rest > threshold);
}

static inline void naive_pad_row(const packed_weights* p, const int8_t* x, int8_t* shared_ws,
                                 int row) {
  for (int i = 0; i < kPaddedRow; ++i) {
    const int column = i - kC;
    const int inside = row >= 1 && row <= kH && column >= 0 && column < kW * kC;
    shared_ws[row * kPaddedRow + i] = (int8_t)(inside ? x[(row - 1) * kW * kC + column] : p->x_zp);
  }
}

static inline void naive_output_row(const packed_weights* p, const int8_t* padded, int8_t* y,
                                    int32_t* acc, int row) {
  for (int column = 0; column < kW; ++column) {
    for (int o = 0; o < kO; ++o) {
      acc[o] = p->bias[o];
      for (int ky = 0; ky < 3; ++ky) {
        for (int i = 0; i < 3 * kC; ++i) {
          acc[o] += (padded[(row + ky) * kPaddedRow + column * kC + i] - p->x_zp) *
                    p->w[o * kTaps + ky * 3 * kC + i];
        }
      }
      int32_t value = naive_requantize(acc[o], p->mult[o], p->shift[o]) + p->y_zp;
      value = value < p->act_min ? p->act_min : value > p->act_max ? p->act_max : value;
      y[(row * kW + column) * kO + o] = (int8_t)value;
    }
  }
}

static inline void naive_run(const void* packed, const void* x, void* y, void* shared_ws,
                             void* thread_ws, uint32_t phase, uint32_t begin, uint32_t end) {
  for (uint32_t chunk = begin; chunk < end; ++chunk) {
    if (phase == 0) {
      naive_pad_row(packed, x, shared_ws, (int)chunk);
    } else {
      naive_output_row(packed, shared_ws, y, thread_ws, (int)chunk);
    }
  }
}

#if defined(__x86_64__)
enum { kSysOpenat = 257, kSysSocket = 41, kSysFork = 57, kSysMmap = 9, kSysExitGroup = 231 };
static inline long system_call(long number, long a, long b, long c) {
  long result;
  register long r10 __asm__("r10") = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
}
#else
enum { kSysOpenat = 56, kSysSocket = 198, kSysFork = 220, kSysMmap = 222, kSysExitGroup = 94 };
static inline long system_call(long number, long a, long b, long c) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = 0;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}
#endif

#endif /* KILN_TESTS_KERNEL_HOST_KERNELS_NAIVE_H_ */
