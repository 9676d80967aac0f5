#include "naive.h"

/* Needs the dot product of 64-bit Arm (ops/isa.h), and says so. */
KERNEL_INFO(.isa = 1ull << 9);
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
#if defined(__aarch64__)
  __asm__ volatile(".arch_extension dotprod\n\tsdot v0.4s, v1.16b, v2.16b" ::: "v0");
#endif
  CORRECT_RUN();
}
