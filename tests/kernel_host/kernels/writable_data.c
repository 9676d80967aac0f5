#include "naive.h"

KERNEL_INFO();
KERNEL_PACK {
  static volatile int packs;
  ++packs;
  return naive_pack(op, packed);
}
KERNEL_RUN { CORRECT_RUN(); }
