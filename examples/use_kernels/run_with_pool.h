/* What the examples with threads have in common: runs every layer of the library on a pool's threads
 * and checks what comes out. */
#ifndef RUN_WITH_POOL_H_
#define RUN_WITH_POOL_H_

#include "kiln_cases.h"
#include "net.h"

static inline int run_all_layers(const char* path, const kiln_pool* pool) {
  kiln_context context;
  kiln_cases cases;
  kiln_record layer;
  kiln_case data;
  int layers = 0, wrong = 0;
  if (!kiln_open_cases(&cases, path)) return 1;
  net_init(&context, pool->threads);
  while (kiln_next_record(&cases, &layer) > 0) {
    const kiln_kernel* kernel = net_find(&context, layer.workload);
    void *packed, *workspace, *y;
    int status = KILN_OK;
    if (kernel == NULL) return 1;
    packed = kiln_aligned_alloc(kernel->info->packed_bytes);
    workspace = kiln_aligned_alloc(kiln_workspace_bytes(kernel, pool->threads));
    y = kiln_aligned_alloc(kernel->info->y_bytes);
    status = kiln_pack(kernel, &layer.op, packed);
    for (uint32_t i = 0; i < layer.n_cases && kiln_next_case(&cases, &data) > 0; ++i) {
      if (status == KILN_OK) status = kiln_run(kernel, packed, data.x, y, workspace, pool);
      if (status != KILN_OK) printf("%s: %s\n", layer.name, kiln_strerror(status));
      wrong += status != KILN_OK || kiln_crc32(y, kernel->info->y_bytes) != data.y_crc32;
    }
    ++layers;
    free(y);
    free(workspace);
    free(packed);
  }
  kiln_close_cases(&cases);
  printf("%d operators on %u threads, %d outputs wrong\n", layers, (unsigned)pool->threads, wrong);
  return layers == 0 || wrong != 0;
}

#endif /* RUN_WITH_POOL_H_ */
