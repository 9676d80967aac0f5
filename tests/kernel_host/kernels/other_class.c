#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return KILN_E_CLASS; }
KERNEL_RUN { CORRECT_RUN(); }
