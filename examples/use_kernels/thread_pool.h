/* A small pool of plain threads for kernels: the caller is thread 0. Waiting is spinning for a while,
 * since a layer takes microseconds, and then sleeping, so that an idle pool costs nothing. */
#ifndef THREAD_POOL_H_
#define THREAD_POOL_H_

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { MOST_THREADS = 64, SPINS = 20000 };

typedef struct {
  struct thread_pool* pool;
  uint32_t thread;
} thread_start;

typedef struct thread_pool {
  uint32_t threads;
  thread_start starts[MOST_THREADS];
  pthread_t handles[MOST_THREADS];
  pthread_mutex_t mutex; /* for sleeping */
  pthread_cond_t wake;
  _Alignas(64) atomic_uint job;     /* counts jobs */
  _Alignas(64) atomic_uint waiting; /* threads at the barrier, or done */
  _Alignas(64) atomic_uint round;   /* counts barriers */
  void (*body)(void* context, uint32_t thread);
  void* context;
  int ends;
} thread_pool;

static inline void pool_pause(unsigned spins) {
#if defined(__x86_64__)
  (void)spins;
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  (void)spins;
  __asm__ volatile("yield");
#endif
}

/* Until the counter is no longer `seen`. */
static inline void pool_wait(thread_pool* pool, atomic_uint* counter, unsigned seen) {
  for (unsigned spins = 0; spins < SPINS; ++spins) {
    if (atomic_load_explicit(counter, memory_order_acquire) != seen) return;
    pool_pause(spins);
  }
  pthread_mutex_lock(&pool->mutex);
  while (atomic_load(counter) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
}

static inline void pool_advance(thread_pool* pool, atomic_uint* counter) {
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(counter, 1);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->mutex);
}

/* For kiln_pool.barrier: the last thread to come lets all go. */
static inline void pool_barrier(void* self) {
  thread_pool* pool = (thread_pool*)self;
  const unsigned round = atomic_load(&pool->round);
  if (atomic_fetch_add(&pool->waiting, 1) + 1 == pool->threads) {
    atomic_store(&pool->waiting, 0);
    pool_advance(pool, &pool->round);
  } else {
    pool_wait(pool, &pool->round, round);
  }
}

static inline void* pool_thread(void* argument) {
  const thread_start* start = (const thread_start*)argument;
  thread_pool* pool = start->pool;
  unsigned seen = 0;
  for (;;) {
    pool_wait(pool, &pool->job, seen++);
    if (pool->ends) return NULL;
    pool->body(pool->context, start->thread);
    pool_barrier(pool);
  }
}

/* For kiln_pool.parallel. */
static inline void pool_parallel(void* self, void (*body)(void*, uint32_t), void* context) {
  thread_pool* pool = (thread_pool*)self;
  pool->body = body;
  pool->context = context;
  pool_advance(pool, &pool->job);
  body(context, 0);
  pool_barrier(pool);
}

static inline void thread_pool_stop(thread_pool* pool) {
  pool->ends = 1;
  pool_advance(pool, &pool->job);
  for (uint32_t t = 1; t < pool->threads; ++t) pthread_join(pool->handles[t], NULL);
}

/* 0: the system refuses threads, and none is left. The pool stays where it is. */
static inline int thread_pool_start(thread_pool* pool, uint32_t threads) {
  if (threads < 1 || threads > MOST_THREADS) return 0;
  pool->ends = 0;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wake, NULL);
  atomic_init(&pool->job, 0);
  atomic_init(&pool->waiting, 0);
  atomic_init(&pool->round, 0);
  for (pool->threads = 1; pool->threads < threads; ++pool->threads) {
    const uint32_t t = pool->threads;
    pool->starts[t].pool = pool;
    pool->starts[t].thread = t;
    if (pthread_create(&pool->handles[t], NULL, pool_thread, &pool->starts[t]) != 0) {
      thread_pool_stop(pool);
      return 0;
    }
  }
  return 1;
}

#endif /* THREAD_POOL_H_ */
