#include "naive.h"

KERNEL_INFO();
KERNEL_PACK { return naive_pack(op, packed); }

static int __attribute__((noinline)) deeper(volatile char* above) {
  volatile char frame[2048];
  frame[0] = above[0];
  if (frame[0] == 77) return 0; /* never, but a compiler cannot know */
  return deeper(frame) + frame[0];
}

KERNEL_RUN {
  volatile char first = 0;
  if (deeper(&first) == 0) CORRECT_RUN();
}
