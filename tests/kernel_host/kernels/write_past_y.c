#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  CORRECT_RUN();
  if (phase == 1) ((volatile char*)y)[kYBytes] = 1;
}
