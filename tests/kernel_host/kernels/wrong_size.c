#include "naive.h"

KERNEL_INFO(.x_bytes = kXBytes + 1);
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN { CORRECT_RUN(); }
