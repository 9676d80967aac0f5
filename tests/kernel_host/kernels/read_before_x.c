#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  (void)((const volatile char*)x)[-1];
  CORRECT_RUN();
}
