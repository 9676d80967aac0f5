/* Runs one kernel as several compilers made it on random values and inputs, and compares the bytes.
 *
 * usage: compare_kernels SYMBOL CHANNELS TAPS CLASS SEED REFERENCE.so OTHER.so...
 *   SYMBOL      what the kernel's names begin with, "kiln_<digest>"
 *   CHANNELS    of the output; TAPS: weights of each
 *   CLASS       the workload key's type and end, as in u8/pt/wz/act=lo/rq=gen/double
 *
 * Values are drawn such that most are inside of the class that the kernel is for. Those that one
 * refuses must be refused by all. Prints how many were run, how many refused, and how many of the
 * 256 bytes came out; exit status 1 if a status or a byte differs.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_host/kiln_kernel.h"

enum { kDraws = 40, kWanted = 4, kInputs = 2, kGuard = 64, kMostOthers = 15 };

static uint64_t state;
static uint64_t Next(void) { /* splitmix64 */
  uint64_t z = (state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
static int32_t Between(int32_t low, int32_t high) {
  return low + (int32_t)(Next() % (uint64_t)((int64_t)high - low + 1));
}
static int OneIn(uint64_t n) { return Next() % n == 0; }

static void Fail(const char* what, const char* which) {
  printf("%s: %s\n", what, which);
  exit(1);
}

typedef struct {
  const kiln_info* info;
  kiln_pack_fn* pack;
  kiln_run_fn* run;
  uint8_t *packed, *shared, *thread, *y; /* y between guards */
} Kernel;

static void* Find(void* library, const char* symbol, const char* what) {
  char name[64];
  snprintf(name, sizeof name, "%s_%s", symbol, what);
  void* found = dlsym(library, name);
  if (found == NULL) Fail("no such symbol", name);
  return found;
}

static uint8_t* Allocate(uint64_t bytes) {
  uint8_t* memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
  if (memory == NULL) Fail("out of memory", "");
  return memory;
}

static Kernel Open(const char* path, const char* symbol) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) Fail("cannot be loaded", dlerror());
  Kernel k;
  k.info = Find(library, symbol, "info");
  k.pack = (kiln_pack_fn*)Find(library, symbol, "pack");
  k.run = (kiln_run_fn*)Find(library, symbol, "run");
  k.packed = Allocate(k.info->packed_bytes);
  k.shared = Allocate(k.info->shared_bytes);
  k.thread = Allocate(k.info->thread_bytes);
  k.y = Allocate(k.info->y_bytes + 2 * kGuard);
  return k;
}

static int Pack(const Kernel* k, const kiln_op* op) {
  memset(k->packed, 0xA5, k->info->packed_bytes);
  return k->pack(op, k->packed);
}

/* Every phase in two pieces. */
static void Run(const Kernel* k, const uint8_t* x) {
  memset(k->y, 0xA5, k->info->y_bytes + 2 * kGuard);
  for (uint32_t phase = 0; phase < k->info->n_phases; ++phase) {
    const uint32_t chunks = k->info->chunks[phase], middle = chunks / 3;
    uint8_t* y = k->y + kGuard;
    if (middle > 0) k->run(k->packed, x, y, k->shared, k->thread, phase, 0, middle);
    k->run(k->packed, x, y, k->shared, k->thread, phase, middle, chunks);
  }
}

typedef struct {
  int32_t channels, taps;
  int is_unsigned, legacy, float_rule, per_tensor, general;
  const char* class;
} Facts;

static int Has(const Facts* f, const char* word) { return strstr(f->class, word) != NULL; }

/* The power of two next to the spread of a channel's sums, over that of its outputs. */
static int32_t TypicalShift(int32_t taps, int32_t largest) {
  int64_t spread = (int64_t)20 * largest * largest * taps, shift = 0;
  while (spread > 1) spread >>= 2, ++shift;
  return (int32_t)(shift > 1 ? -shift : -1);
}

static void DrawValues(const Facts* f, kiln_op* op) {
  const int32_t qmin = f->is_unsigned ? 0 : -128, qmax = qmin + 255;
  op->x_zp = OneIn(2) ? qmin : Between(qmin, qmax);
  op->w_zp = !f->legacy ? 0 : Has(f, "/wz/") ? 128 + Between(-60, 60) : 128;
  op->y_zp = OneIn(2) ? qmin : Between(qmin, qmin + (OneIn(2) ? 40 : 255));
  op->act_min = qmin, op->act_max = qmax;
  if (!Has(f, "act=none")) op->act_min = op->y_zp;
  if (Has(f, "act=lohi")) {
    op->act_max = Between(op->act_min, qmax);
    if (OneIn(2)) op->act_min = Between(qmin, op->act_min);
  }

  const int32_t largest = OneIn(4) ? 127 : Between(1, 40);
  uint8_t* w = (uint8_t*)op->w;
  for (int64_t i = 0; i < (int64_t)f->channels * f->taps; ++i) {
    const int32_t lowest = Has(f, "wz0full") && largest == 127 ? -128 : -largest;
    const int32_t value = Between(lowest, largest) + op->w_zp;
    w[i] = (uint8_t)(f->legacy && value < 0 ? 0 : f->legacy && value > 255 ? 255 : value);
  }
  const int32_t typical = TypicalShift(f->taps, largest);
  for (int32_t o = 0; o < f->channels; ++o) {
    ((int32_t*)op->bias)[o] = Between(-1000, 1000);
    const int32_t shift = typical + Between(-1, 1);
    ((int32_t*)op->mult)[o] = Between(1 << 30, INT32_MAX);
    ((int32_t*)op->shift)[o] = shift < -1 ? shift : -1;
    if (f->general && OneIn(4)) ((int32_t*)op->shift)[o] = Between(-31, 3);
    ((float*)op->scale)[o] = (float)op->mult[o] / 2147483648.0f;
    for (int32_t s = op->shift[o]; s < 0; ++s) ((float*)op->scale)[o] /= 2;
    if (f->float_rule && OneIn(16)) ((float*)op->scale)[o] *= 1e30f; /* to the limits */
    if (f->per_tensor && o > 0) {
      ((int32_t*)op->mult)[o] = op->mult[0], ((int32_t*)op->shift)[o] = op->shift[0];
      ((float*)op->scale)[o] = op->scale[0];
    }
  }
}

static void DrawInput(uint8_t* x, uint64_t bytes, int32_t x_zp) {
  const int noise = OneIn(2);
  for (uint64_t i = 0; i < bytes; ++i) {
    const uint64_t bits = Next();
    x[i] = (uint8_t)(noise || bits % 8 == 0 ? bits >> 8 : (uint64_t)(x_zp + (int)(bits >> 8) % 16));
  }
}

int main(int argc, char** argv) {
  if (argc < 8 || argc > 7 + kMostOthers) Fail("usage", "see the top of compare_kernels.c");
  Facts f = {.channels = atoi(argv[2]), .taps = atoi(argv[3]), .class = argv[4]};
  f.is_unsigned = argv[4][0] == 'u';
  f.legacy = strncmp(argv[4], "u8/", 3) == 0;
  f.float_rule = Has(&f, "rq=float"), f.general = Has(&f, "rq=gen"), f.per_tensor = Has(&f, "/pt/");
  state = strtoull(argv[5], NULL, 0);

  Kernel kernels[1 + kMostOthers];
  const int n = argc - 6;
  for (int i = 0; i < n; ++i) kernels[i] = Open(argv[6 + i], argv[1]);
  const kiln_info* info = kernels[0].info;
  for (int i = 1; i < n; ++i) {
    if (memcmp(info, kernels[i].info, sizeof *info) != 0) Fail("another info", argv[6 + i]);
  }

  const uint64_t channels = (uint64_t)f.channels;
  kiln_op op = {.w = Allocate(channels * (uint64_t)f.taps)};
  op.bias = (int32_t*)Allocate(channels * 4), op.mult = (int32_t*)Allocate(channels * 4);
  op.shift = (int32_t*)Allocate(channels * 4), op.scale = (float*)Allocate(channels * 4);
  uint8_t* x = Allocate(info->x_bytes + 64);
  int in_class = 0, refused = 0, different[256] = {0};
  for (int draw = 0; draw < kDraws && in_class < kWanted; ++draw) {
    DrawValues(&f, &op);
    kiln_op given = op;
    if (f.float_rule) given.mult = given.shift = NULL;
    if (!f.float_rule) given.scale = NULL;
    const int status = Pack(&kernels[0], &given);
    for (int i = 1; i < n; ++i) {
      if (Pack(&kernels[i], &given) != status) Fail("another status of pack", argv[6 + i]);
    }
    if (status != KILN_OK) {
      ++refused;
      continue;
    }
    ++in_class;
    for (int input = 0; input < kInputs; ++input) {
      uint8_t* unaligned = x + Between(0, 63);
      DrawInput(unaligned, info->x_bytes, op.x_zp);
      Run(&kernels[0], unaligned);
      for (uint64_t i = 0; i < info->y_bytes; ++i) different[kernels[0].y[kGuard + i]] = 1;
      for (int i = 1; i < n; ++i) {
        if (memcmp(kernels[0].packed, kernels[i].packed, info->packed_bytes) != 0) {
          Fail("other packed bytes", argv[6 + i]);
        }
        Run(&kernels[i], unaligned);
        if (memcmp(kernels[0].y, kernels[i].y, info->y_bytes + 2 * kGuard) != 0) {
          Fail("other outputs", argv[6 + i]);
        }
      }
    }
  }
  int bytes = 0;
  for (int i = 0; i < 256; ++i) bytes += different[i];
  printf("%d %d %d\n", in_class, refused, bytes);
  return 0;
}
