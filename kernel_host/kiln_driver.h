/* The driver: walks the phases and chunks of a packed kernel (kiln_kernel.h) with the threads of
 * whoever calls it. C11 and C++; ships with exported libraries, and kiln-host and the benchmarks run
 * kernels by it, so that what is measured is called as it is deployed.
 *
 *   a piece    the chunks of one phase that are one thread's
 *   a share    a thread's pieces of all phases, with a barrier between phases
 */
#ifndef KILN_DRIVER_H_
#define KILN_DRIVER_H_

#include <stdint.h>

#include "kernel_host/kiln_kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One call of a kernel: the memory belongs to the caller. */
typedef struct {
  const kiln_info* info;
  kiln_run_fn* run;
  const void *packed, *x;
  void *y, *shared_ws;
} kiln_call;

/* The piece of thread `thread` of `threads` in a phase, with a workspace of its own. Pieces of one
 * phase may run in any order, also one after the other. */
static inline void kiln_run_piece(const kiln_call* call, uint32_t phase, uint32_t thread,
                                  uint32_t threads, void* thread_ws) {
  const uint64_t chunks = call->info->chunks[phase];
  const uint32_t begin = (uint32_t)(chunks * thread / threads);
  const uint32_t end = (uint32_t)(chunks * (thread + 1) / threads);
  if (begin < end) {
    call->run(call->packed, call->x, call->y, call->shared_ws, thread_ws, phase, begin, end);
  }
}

/* Waits until all threads of a call are here. */
typedef void kiln_barrier_fn(void* self);

/* The share of one thread. All threads of the call must do theirs, at the same time: there is a
 * barrier between phases, and none after the last. */
static inline void kiln_run_share(const kiln_call* call, uint32_t thread, uint32_t threads,
                                  void* thread_ws, kiln_barrier_fn* barrier, void* self) {
  for (uint32_t phase = 0; phase < call->info->n_phases; ++phase) {
    if (phase > 0) barrier(self);
    kiln_run_piece(call, phase, thread, threads, thread_ws);
  }
}

typedef void kiln_body_fn(void* context, uint32_t thread);

/* Threads that the caller has. */
typedef struct {
  void* self;
  uint32_t threads; /* at least 1 */
  /* Runs body(context, t) once for every t in [0, threads) and returns when all have returned. */
  void (*parallel)(void* self, kiln_body_fn* body, void* context);
  /* Called in bodies, which then must all run at the same time. NULL: bodies may run one after the
   * other; a call is then a `parallel` for each phase instead of one. */
  kiln_barrier_fn* barrier;
} kiln_pool;

/* A call as the bodies of a pool see it. */
typedef struct {
  const kiln_call* call;
  const kiln_pool* pool;
  unsigned char* thread_ws; /* of thread t: at t * thread_pitch */
  uint64_t thread_pitch;
  uint32_t phase;
} kiln_job;

/* Without a pitch there need not be any workspace to point into. */
static inline void* kiln_thread_ws(const kiln_job* job, uint32_t thread) {
  return job->thread_pitch == 0 ? job->thread_ws : job->thread_ws + thread * job->thread_pitch;
}

static inline void kiln_share_body(void* context, uint32_t thread) {
  const kiln_job* job = (const kiln_job*)context;
  kiln_run_share(job->call, thread, job->pool->threads, kiln_thread_ws(job, thread),
                 job->pool->barrier, job->pool->self);
}

static inline void kiln_piece_body(void* context, uint32_t thread) {
  const kiln_job* job = (const kiln_job*)context;
  kiln_run_piece(job->call, job->phase, thread, job->pool->threads, kiln_thread_ws(job, thread));
}

/* A whole call on the threads of a pool; NULL: on the calling thread alone. Thread t has the
 * workspace at thread_ws + t * thread_pitch. */
static inline void kiln_run_call(const kiln_call* call, void* thread_ws, uint64_t thread_pitch,
                                 const kiln_pool* pool) {
  kiln_job job = {call, pool, (unsigned char*)thread_ws, thread_pitch, 0};
  if (pool == 0 || pool->threads <= 1) {
    for (uint32_t phase = 0; phase < call->info->n_phases; ++phase) {
      kiln_run_piece(call, phase, 0, 1, thread_ws);
    }
  } else if (pool->barrier != 0 || call->info->n_phases == 1) {
    pool->parallel(pool->self, kiln_share_body, &job);
  } else {
    for (; job.phase < call->info->n_phases; ++job.phase) {
      pool->parallel(pool->self, kiln_piece_body, &job);
    }
  }
}

#ifdef __cplusplus
}
#endif

#endif /* KILN_DRIVER_H_ */
