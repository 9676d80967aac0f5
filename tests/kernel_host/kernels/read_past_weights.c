#include "naive.h"

KERNEL_INFO();
KERNEL_PACK {
  (void)((const volatile char*)op->w)[kO * kTaps];
  return naive_pack(op, packed);
}
KERNEL_RUN { CORRECT_RUN(); }
