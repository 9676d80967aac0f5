#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  *(volatile char*)0 = 1;
  CORRECT_RUN();
}
