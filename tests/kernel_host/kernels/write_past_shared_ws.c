#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  ((volatile char*)shared_ws)[kSharedBytes] = 1;
  CORRECT_RUN();
}
