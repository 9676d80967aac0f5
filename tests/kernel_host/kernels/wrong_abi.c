#include "naive.h"

KERNEL_INFO(.abi = 7);
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN { CORRECT_RUN(); }
