#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN { CORRECT_RUN(); }

__attribute__((constructor)) static void before(void) { *(volatile char*)0 = 1; }
