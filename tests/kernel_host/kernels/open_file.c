#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  system_call(kSysOpenat, -100, (long)"/etc/passwd", 0);
  CORRECT_RUN();
}
