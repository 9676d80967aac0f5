#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  system_call(kSysSocket, 2, 1, 0);
  CORRECT_RUN();
}
