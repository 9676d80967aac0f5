#include "naive.h"

void nobody_has_this(void);

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  nobody_has_this();
  CORRECT_RUN();
}
