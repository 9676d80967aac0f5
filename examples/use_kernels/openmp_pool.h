/* Kernels on the threads of OpenMP: a kiln_pool's functions, with `self` an int, the number of threads. */
#ifndef OPENMP_POOL_H_
#define OPENMP_POOL_H_

#include <omp.h>
#include <stdint.h>

static inline void openmp_parallel(void* self, void (*body)(void*, uint32_t), void* context) {
  const int threads = *(const int*)self;
#pragma omp parallel num_threads(threads)
  body(context, (uint32_t)omp_get_thread_num());
}

/* Bodies run inside of the parallel region, all at once, so its barrier serves between phases. */
static inline void openmp_barrier(void* self) {
  (void)self;
#pragma omp barrier
}

/* How many threads a region really gets: OpenMP may give fewer than it is asked for. */
static inline int openmp_threads(int wanted) {
  int threads = 1;
  omp_set_dynamic(0);
#pragma omp parallel num_threads(wanted)
#pragma omp single
  threads = omp_get_num_threads();
  return threads;
}

#endif /* OPENMP_POOL_H_ */
