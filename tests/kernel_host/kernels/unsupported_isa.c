#include "naive.h"

KERNEL_INFO(.isa = 1ull << 63);
KERNEL_PACK { return *(volatile int*)0; }
KERNEL_RUN { *(volatile char*)0 = 1; }
