/* What every library that `kiln export` writes is made of. In a program, with a library `net`:
 *
 *   kiln_context context;
 *   net_init(&context, threads);                            what this processor can run, once
 *   const kiln_kernel* kernel = net_find_layer(&context, "conv_1");
 *   void* packed = ... kernel->info->packed_bytes ...;      all memory is the caller's,
 *   void* workspace = ... kiln_workspace_bytes(kernel, threads) ...;     aligned to 64 bytes
 *   kiln_pack(kernel, &op, packed);                         once: weights, bias, scales
 *   kiln_run(kernel, packed, x, y, workspace, &pool);       NULL for pool: on this thread
 *
 * Nothing is allocated and nothing global is written. Any number of threads may use one packed
 * operator at once, each call with a workspace of its own.
 */
/* Libraries that are used in one file share what follows: it must be the same. */
#if !defined(KILN_LIBRARY_VERSION)
#define KILN_LIBRARY_VERSION 1
#elif KILN_LIBRARY_VERSION != 1
#error "two libraries of kernels by different versions of Kiln: export both with one"
#endif

#ifndef KILN_LIBRARY_H_
#define KILN_LIBRARY_H_

#include <stddef.h>
#include <stdint.h>

#include "kernel_host/kiln_driver.h"
#include "kernel_host/kiln_kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* More statuses beside KILN_OK and KILN_E_CLASS of the kernel ABI. */
enum { KILN_E_ALIGNMENT = 2, KILN_E_NO_KERNEL = 3 };

enum { KILN_ALIGNMENT = 64 }; /* of packed operators and workspaces, in bytes */

/* A kernel of the library, and where it comes from. */
typedef struct {
  const char* workload; /* the key: what it computes */
  const char* target;   /* the machine that it was chosen for */
  const char* config;   /* "tile_h=1 tile_w=6 ..." */
  const char* origin;   /* "tuned"; "default": nobody tuned it */
  const char* kind;     /* of min_ns: "measured", "emulated", "estimated"; "" without a time */
  const char* device;   /* that gave min_ns; "": none did */
  double min_ns;        /* of a call with `threads` threads; 0: nobody measured it */
  uint32_t threads;     /* that it was chosen for; it runs with any number */
  const kiln_info* info;
  kiln_pack_fn* pack;
  kiln_run_fn* run;
} kiln_kernel;

/* What a program decides once, and owns. */
typedef struct {
  uint64_t features; /* of the processor: bits as in kiln_info.isa */
  uint32_t threads;  /* that calls will have */
  uint32_t reserved;
} kiln_context;

static inline uint64_t kiln_aligned(uint64_t bytes) {
  return (bytes + KILN_ALIGNMENT - 1) / KILN_ALIGNMENT * KILN_ALIGNMENT;
}

static inline int kiln_is_aligned(const void* p) { return (uintptr_t)p % KILN_ALIGNMENT == 0; }

/* Bytes of the workspace of one call with so many threads. Without need for one it may be NULL. */
static inline size_t kiln_workspace_bytes(const kiln_kernel* kernel, uint32_t threads) {
  return (size_t)(kiln_aligned(kernel->info->shared_bytes) +
                  threads * kiln_aligned(kernel->info->thread_bytes));
}

/* Puts an operator's values into the form that the kernel reads: packed_bytes, aligned.
 * KILN_E_CLASS: the values are outside of what the workload's key promises; nothing of `packed` is
 * to be used then. */
static inline int kiln_pack(const kiln_kernel* kernel, const kiln_op* op, void* packed) {
  if (kernel == NULL) return KILN_E_NO_KERNEL;
  if (!kiln_is_aligned(packed)) return KILN_E_ALIGNMENT;
  return kernel->pack(op, packed);
}

/* y = the operator on x, of info->x_bytes and y_bytes, of any alignment. With a pool, the workspace
 * is that of pool->threads threads. */
static inline int kiln_run(const kiln_kernel* kernel, const void* packed, const void* x, void* y,
                           void* workspace, const kiln_pool* pool) {
  kiln_call call;
  unsigned char* thread_ws = (unsigned char*)workspace;
  if (kernel == NULL) return KILN_E_NO_KERNEL;
  if (!kiln_is_aligned(packed) || !kiln_is_aligned(workspace)) return KILN_E_ALIGNMENT;
  call.info = kernel->info;
  call.run = kernel->run;
  call.packed = packed;
  call.x = x;
  call.y = y;
  call.shared_ws = workspace;
  if (kernel->info->shared_bytes > 0) thread_ws += kiln_aligned(kernel->info->shared_bytes);
  kiln_run_call(&call, thread_ws, kiln_aligned(kernel->info->thread_bytes), pool);
  return KILN_OK;
}

static inline const char* kiln_strerror(int status) {
  switch (status) {
    case KILN_OK:
      return "done";
    case KILN_E_CLASS:
      return "the values are outside of the class that the kernel was made for";
    case KILN_E_ALIGNMENT:
      return "packed operators and workspaces are aligned to 64 bytes";
    case KILN_E_NO_KERNEL:
      return "the library has no kernel for it that this processor can run";
    default:
      return "unknown status";
  }
}

#ifdef __cplusplus
}
#endif

#endif /* KILN_LIBRARY_H_ */
