/* An exported library as one of the peers that are timed side by side (kiln_peer_worker.cc has the
 * protocol): scripts/compare_export builds it for a library called `net`.
 *
 *   exported_worker CASES THREADS threads|openmp
 *
 *   run <layer> <ms>    ok <min us> <median us> <calls>, or err <why>; <layer> is a layer's name
 */
#define _GNU_SOURCE
#include <sched.h>
#include <time.h>

#include "kiln_cases.h"
#include "net.h"
#include "openmp_pool.h"
#include "thread_pool.h"

enum { MOST_LAYERS = 512, MOST_CALLS = 1 << 20, FEWEST_CALLS = 3 };

typedef struct {
  const char* workload;
  const kiln_kernel* kernel;
  void *packed, *x, *y, *workspace;
} loaded;

static loaded all[MOST_LAYERS];
static int n_loaded;
static double calls_us[MOST_CALLS];

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

/* Thread t on core t, as the other workers pin theirs. */
static void pin(void* context, uint32_t thread) {
  cpu_set_t set;
  (void)context;
  CPU_ZERO(&set);
  CPU_SET(thread, &set);
  sched_setaffinity(0, sizeof set, &set);
}

static int by_size(const void* a, const void* b) {
  const double difference = *(const double*)a - *(const double*)b;
  return (difference > 0) - (difference < 0);
}

/* The first record of each workload, packed. 0: something is wrong. */
static int load(kiln_cases* cases, const kiln_context* context) {
  kiln_record record;
  kiln_case one;
  while (kiln_next_record(cases, &record) > 0) {
    loaded* layer = &all[n_loaded];
    int known = 0;
    for (int i = 0; i < n_loaded; ++i) known |= strcmp(all[i].workload, record.workload) == 0;
    for (uint32_t i = 0; i < record.n_cases; ++i) {
      if (kiln_next_case(cases, &one) < 0) return 0;
    }
    if (known) continue;
    if (n_loaded == MOST_LAYERS) return 0;
    layer->workload = record.workload;
    layer->kernel = net_find(context, record.workload);
    if (layer->kernel == NULL) return 0;
    layer->packed = kiln_aligned_alloc(layer->kernel->info->packed_bytes);
    layer->x = kiln_aligned_alloc(one.x_bytes);
    layer->y = kiln_aligned_alloc(one.y_bytes);
    layer->workspace = kiln_aligned_alloc(kiln_workspace_bytes(layer->kernel, context->threads));
    memcpy(layer->x, one.x, (size_t)one.x_bytes);
    if (kiln_pack(layer->kernel, &record.op, layer->packed) != KILN_OK) return 0;
    ++n_loaded;
  }
  return n_loaded > 0;
}

static loaded* find(const kiln_context* context, const char* name) {
  const kiln_kernel* kernel = net_find_layer(context, name);
  for (int i = 0; i < n_loaded && kernel != NULL; ++i) {
    if (all[i].kernel == kernel) return &all[i];
  }
  return NULL;
}

static void call(const loaded* layer, const kiln_pool* pool) {
  kiln_run(layer->kernel, layer->packed, layer->x, layer->y, layer->workspace, pool);
}

/* As kiln_peer_worker's TimeCalls: each call by itself, after a warm-up. */
static void run(const loaded* layer, const kiln_pool* pool, double ms) {
  const double warm = now_us();
  double start, before;
  int calls = 0;
  do {
    call(layer, pool);
    call(layer, pool);
  } while (now_us() - warm < 4000);
  start = before = now_us();
  do {
    double after;
    call(layer, pool);
    after = now_us();
    calls_us[calls++] = after - before;
    before = after;
  } while ((before - start < ms * 1e3 || calls < FEWEST_CALLS) && calls < MOST_CALLS);
  qsort(calls_us, (size_t)calls, sizeof calls_us[0], by_size);
  printf("ok %.3f %.3f %d\n", calls_us[0], calls_us[calls / 2], calls);
}

int main(int argc, char** argv) {
  static thread_pool crew;
  kiln_context context;
  kiln_cases cases;
  kiln_pool pool;
  char line[1024], name[900];
  double ms = 20;
  int threads = argc == 4 ? atoi(argv[2]) : 0;
  if (threads < 1 || !kiln_open_cases(&cases, argv[1])) return 2;
  pool.threads = (uint32_t)threads;
  if (strcmp(argv[3], "openmp") == 0) {
    if (openmp_threads(threads) != threads) return 1;
    pool.self = &threads;
    pool.parallel = openmp_parallel;
    pool.barrier = openmp_barrier;
  } else {
    if (!thread_pool_start(&crew, pool.threads)) return 1;
    pool.self = &crew;
    pool.parallel = pool_parallel;
    pool.barrier = pool_barrier;
  }
  if (threads > 1) pool.parallel(pool.self, pin, NULL);
  net_init(&context, pool.threads);
  if (!load(&cases, &context)) return 1;
  printf("hello exported %s, %d threads\n", net_build(), threads);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && strncmp(line, "quit", 4) != 0) {
    const loaded* layer = NULL;
    if (sscanf(line, "run %899s %lf", name, &ms) == 2) layer = find(&context, name);
    if (layer != NULL) {
      run(layer, &pool, ms);
    } else {
      printf("err no such layer\n");
    }
    fflush(stdout);
  }
  return 0;
}
