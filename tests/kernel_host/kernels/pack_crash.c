#include "naive.h"

KERNEL_INFO();
KERNEL_PACK {
  *(volatile char*)packed = *(volatile char*)8;
  return KILN_OK;
}
KERNEL_RUN { CORRECT_RUN(); }
