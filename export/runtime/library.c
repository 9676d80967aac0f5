
/* 0 if equal, else as strcmp. */
static int compare(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return (unsigned char)*a - (unsigned char)*b;
}

/* The better target comes first, and of one target the fewer threads: the most of them that the
 * caller's are enough for, or else the fewest. */
static const kiln_kernel* choose(const kiln_context* context, uint32_t workload) {
  const kiln_kernel* best = NULL;
  for (uint32_t i = workloads[workload].first; i < workloads[workload + 1].first; ++i) {
    const kiln_kernel* kernel = &kernels[i];
    if ((kernel->info->isa & ~context->features) != 0) continue;
    if (best == NULL ||
        (kernel->info->isa == best->info->isa && kernel->threads <= context->threads)) {
      best = kernel;
    }
  }
  return best;
}

void LIBNAME_init(kiln_context* context, uint32_t threads) {
  context->features = kiln_cpu_features();
  context->threads = threads;
  context->reserved = 0;
}

const kiln_kernel* LIBNAME_find(const kiln_context* context, const char* workload) {
  uint32_t low = 0, high = N_WORKLOADS;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const int order = compare(workload, workloads[middle].key);
    if (order == 0) return choose(context, middle);
    if (order < 0) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return NULL;
}

const kiln_kernel* LIBNAME_find_layer(const kiln_context* context, const char* layer) {
  uint32_t low = 0, high = N_LAYERS;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const int order = compare(layer, layers[middle].name);
    if (order == 0) return choose(context, layers[middle].workload);
    if (order < 0) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return NULL;
}

const kiln_kernel* LIBNAME_kernels(size_t* count) {
  *count = N_KERNELS;
  return kernels;
}

const char* LIBNAME_layer(size_t index, const char** workload) {
  if (index >= N_LAYERS) return NULL;
  if (workload != NULL) *workload = workloads[layers[index].workload].key;
  return layers[index].name;
}

const char* LIBNAME_build(void) { return BUILD; }
