#include "naive.h"

KERNEL_INFO(.shared_bytes = 1ull << 40);
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN { CORRECT_RUN(); }
