#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  system_call(kSysFork, 0, 0, 0);
  CORRECT_RUN();
}
