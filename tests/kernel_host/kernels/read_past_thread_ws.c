#include "naive.h"

KERNEL_INFO(.thread_bytes = 64);
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  (void)((const volatile char*)thread_ws)[64];
  CORRECT_RUN();
}
