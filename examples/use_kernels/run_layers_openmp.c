/* Kernels on the threads of OpenMP. */
#include <omp.h>

#include "run_with_pool.h"

static void parallel(void* self, kiln_body_fn* body, void* context) {
  const int threads = *(const int*)self;
#pragma omp parallel num_threads(threads)
  body(context, (uint32_t)omp_get_thread_num());
}

/* Bodies run inside of the parallel region, all at once, so its barrier serves between phases. */
static void barrier(void* self) {
  (void)self;
#pragma omp barrier
}

/* How many threads a region really gets: OpenMP may give fewer than it is asked for. */
static int available_threads(int wanted) {
  int threads = 1;
  omp_set_dynamic(0);
#pragma omp parallel num_threads(wanted)
#pragma omp single
  threads = omp_get_num_threads();
  return threads;
}

int main(int argc, char** argv) {
  int threads = available_threads(2);
  const kiln_pool pool = {&threads, (uint32_t)threads, parallel, barrier};
  return argc < 2 ? 1 : run_all_layers(argv[1], &pool);
}
