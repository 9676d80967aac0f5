/* Runs every kernel of the library that this processor can run, whether or not it is the best here,
 * on the values and inputs in a file of cases, and compares checksums of all outputs. Each runs on
 * one thread, and once more in three pieces, the last first.
 *
 *   self_test [FILE] [-v]      FILE: else LIBNAME.cases
 *
 * Exit status 0: all outputs are right. 1: some are not, or cannot be checked.
 */
#include "LIBNAME.h"
#include "kiln_cases.h"

typedef struct {
  size_t kernels, records, wrong;
  int verbose;
} tally;

/* On a device, not in an emulator or by a model of one. */
static int is_measured(const kiln_kernel* kernel) { return strcmp(kernel->kind, "measured") == 0; }

/* Bodies one after the other, the last first: no order of them may matter. */
static void backwards(void* self, kiln_body_fn* body, void* context) {
  const uint32_t threads = *(const uint32_t*)self;
  for (uint32_t t = threads; t-- > 0;) body(context, t);
}

/* Whether the output for one input is right, in one piece and in three. */
static int check_case(const kiln_kernel* kernel, const kiln_case* one, const void* packed, void* y,
                      void* workspace) {
  uint32_t pieces = 3;
  const kiln_pool pool = {&pieces, 3, backwards, NULL};
  for (int round = 0; round < 2; ++round) {
    memset(y, 0x5a, (size_t)one->y_bytes);
    if (kiln_run(kernel, packed, one->x, y, workspace, round == 0 ? NULL : &pool) != KILN_OK) {
      return 0;
    }
    if (kiln_crc32(y, (size_t)one->y_bytes) != one->y_crc32) return 0;
  }
  return 1;
}

/* NULL if all is right, else what is not. */
static const char* check_kernel(const kiln_kernel* kernel, const kiln_record* record,
                                kiln_cases cases) {
  const char* why = NULL;
  void* packed = kiln_aligned_alloc(kernel->info->packed_bytes);
  void* y = kiln_aligned_alloc(kernel->info->y_bytes);
  void* workspace = kiln_aligned_alloc(kiln_workspace_bytes(kernel, 3));
  int status = KILN_OK;
  if (packed == NULL || y == NULL || workspace == NULL) {
    why = "no memory";
  } else if ((status = kiln_pack(kernel, &record->op, packed)) != KILN_OK) {
    why = kiln_strerror(status);
  }
  for (uint32_t i = 0; i < record->n_cases && why == NULL; ++i) {
    kiln_case one;
    if (kiln_next_case(&cases, &one) < 0 || one.x_bytes != kernel->info->x_bytes ||
        one.y_bytes != kernel->info->y_bytes) {
      why = "the file of cases is damaged";
    } else if (!check_case(kernel, &one, packed, y, workspace)) {
      why = "the output is wrong";
    }
  }
  free(packed);
  free(y);
  free(workspace);
  return why;
}

static void check_record(const kiln_context* context, const kiln_record* record,
                         const kiln_cases* cases, tally* sum) {
  size_t count = 0;
  const kiln_kernel* kernels = LIBNAME_kernels(&count);
  const kiln_kernel* chosen = LIBNAME_find(context, record->workload);
  if (chosen == NULL) {
    printf("WRONG  %s: no kernel that this processor can run\n", record->name);
    ++sum->wrong;
  }
  for (size_t i = 0; i < count; ++i) {
    const kiln_kernel* kernel = &kernels[i];
    const char* why = NULL;
    if (strcmp(kernel->workload, record->workload) != 0) continue;
    if ((kernel->info->isa & ~context->features) != 0) continue;
    why = check_kernel(kernel, record, *cases);
    ++sum->kernels;
    sum->wrong += why != NULL;
    if (why != NULL || sum->verbose) {
      printf("%s  %s  %s, %u threads, %s%s%s\n", why != NULL ? "WRONG" : "ok   ", record->name,
             kernel->target, (unsigned)kernel->threads, kernel->origin,
             kernel == chosen ? ", chosen here" : "", is_measured(kernel) ? "" : ", never measured");
    }
    if (why != NULL) printf("       %s\n", why);
  }
}

/* What is chosen here, by target. */
static void print_choices(const kiln_context* context) {
  size_t count = 0;
  const kiln_kernel* kernels = LIBNAME_kernels(&count);
  for (size_t i = 0; i < count; ++i) {
    size_t chosen = 0, untuned = 0;
    int is_first = 1;
    for (size_t j = 0; j < i; ++j) {
      if (strcmp(kernels[j].target, kernels[i].target) == 0) is_first = 0;
    }
    if (!is_first) continue;
    for (size_t j = i; j < count; ++j) {
      if (strcmp(kernels[j].target, kernels[i].target) != 0) continue;
      if (LIBNAME_find(context, kernels[j].workload) != &kernels[j]) continue;
      ++chosen;
      untuned += !is_measured(&kernels[j]);
    }
    printf("chosen here: %u of target %s, of which %u were never measured\n", (unsigned)chosen,
           kernels[i].target, (unsigned)untuned);
  }
}

int main(int argc, char** argv) {
  const char* path = "LIBNAME.cases";
  kiln_context context;
  kiln_cases cases;
  kiln_record record;
  tally sum = {0, 0, 0, 0};
  int more = 0;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "-v") == 0) {
      sum.verbose = 1;
    } else {
      path = argv[i];
    }
  }
  if (!kiln_open_cases(&cases, path)) {
    fprintf(stderr, "self_test: cannot read %s: the file of cases that came with the library\n",
            path);
    kiln_close_cases(&cases);
    return 1;
  }
  LIBNAME_init(&context, 1);
  while ((more = kiln_next_record(&cases, &record)) > 0) {
    kiln_case skipped;
    ++sum.records;
    check_record(&context, &record, &cases, &sum);
    for (uint32_t i = 0; i < record.n_cases && more > 0; ++i) {
      more = kiln_next_case(&cases, &skipped);
    }
    if (more < 0) break;
  }
  if (more < 0) printf("WRONG  %s is damaged\n", path);
  kiln_close_cases(&cases);
  print_choices(&context);
  printf("kernels: %s\n", LIBNAME_build());
  printf("LIBNAME: %u operators, %u runs of kernels: %s\n", (unsigned)sum.records,
         (unsigned)sum.kernels, more == 0 && sum.wrong == 0 ? "all bit-exact" : "WRONG");
  return more == 0 && sum.wrong == 0 && sum.kernels > 0 ? 0 : 1;
}
