/* Kernels on the threads of OpenMP. */
#include "openmp_pool.h"
#include "run_with_pool.h"

int main(int argc, char** argv) {
  int threads = openmp_threads(2);
  const kiln_pool pool = {&threads, (uint32_t)threads, openmp_parallel, openmp_barrier};
  return argc < 2 ? 1 : run_all_layers(argv[1], &pool);
}
