/* Runs every layer of a library of kernels on one thread, and checks what comes out. */
#include "kiln_cases.h"
#include "net.h"

int main(int argc, char** argv) {
  kiln_context context;
  kiln_cases cases;
  kiln_record layer;
  kiln_case data;
  int layers = 0, wrong = 0;
  if (argc < 2 || !kiln_open_cases(&cases, argv[1])) return 1;
  net_init(&context, 1);
  while (kiln_next_record(&cases, &layer) > 0) {
    const kiln_kernel* kernel = net_find(&context, layer.workload);
    if (kernel == NULL) return 1;
    void* packed = kiln_aligned_alloc(kernel->info->packed_bytes);
    void* workspace = kiln_aligned_alloc(kiln_workspace_bytes(kernel, 1));
    void* y = kiln_aligned_alloc(kernel->info->y_bytes);
    int status = kiln_pack(kernel, &layer.op, packed);
    for (uint32_t i = 0; i < layer.n_cases && kiln_next_case(&cases, &data) > 0; ++i) {
      if (status == KILN_OK) status = kiln_run(kernel, packed, data.x, y, workspace, NULL);
      if (status != KILN_OK) printf("%s: %s\n", layer.name, kiln_strerror(status));
      wrong += status != KILN_OK || kiln_crc32(y, kernel->info->y_bytes) != data.y_crc32;
    }
    ++layers;
    free(y);
    free(workspace);
    free(packed);
  }
  kiln_close_cases(&cases);
  printf("%d operators on one thread, %d outputs wrong\n", layers, wrong);
  return layers == 0 || wrong != 0;
}
