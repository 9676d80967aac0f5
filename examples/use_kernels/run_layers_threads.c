/* Kernels on plain threads. */
#include "run_with_pool.h"
#include "thread_pool.h"

int main(int argc, char** argv) {
  static thread_pool threads;
  int status = 1;
  if (argc < 2 || !thread_pool_start(&threads, 2)) return 1;
  const kiln_pool pool = {&threads, threads.threads, pool_parallel, pool_barrier};
  status = run_all_layers(argv[1], &pool);
  thread_pool_stop(&threads);
  return status;
}
