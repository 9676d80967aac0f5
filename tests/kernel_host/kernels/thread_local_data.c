#include "naive.h"

static _Thread_local volatile int calls;

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  ++calls;
  CORRECT_RUN();
}
