#include "naive.h"

/* Pointers in constant data: R_*_RELATIVE relocations. */
static int32_t add(int32_t a, int32_t b) { return a + b; }
static int32_t subtract(int32_t a, int32_t b) { return a - b; }
static int32_t (*const volatile operations[2])(int32_t, int32_t) = {add, subtract};

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  if (operations[0](2, 3) + operations[1](3, 2) == 6) CORRECT_RUN();
}
