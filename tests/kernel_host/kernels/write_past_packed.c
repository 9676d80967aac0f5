#include "naive.h"

KERNEL_INFO();
KERNEL_PACK {
  ((volatile char*)packed)[sizeof(packed_weights)] = 1;
  return naive_pack(op, packed);
}
KERNEL_RUN { CORRECT_RUN(); }
