/* The functions of this library. */
#ifndef LIBGUARD_H_
#define LIBGUARD_H_

/* Seen from outside only if the library is a shared one: where it is part of another, nobody is to
 * find its functions there. */
#if defined(__GNUC__) && defined(LIBGUARD_SHARED)
#define LIBGUARD_API __attribute__((visibility("default")))
#else
#define LIBGUARD_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Finds out what this processor can run, for calls with so many threads. Before anything else. */
LIBGUARD_API void LIBNAME_init(kiln_context* context, uint32_t threads);

/* The best kernel of the library for a workload, by its key, on the context's processor. NULL: there
 * is none that it can run. The kernel is there as long as the program. */
LIBGUARD_API const kiln_kernel* LIBNAME_find(const kiln_context* context, const char* workload);

/* The same for a layer of the network that the library was made from, by its name. */
LIBGUARD_API const kiln_kernel* LIBNAME_find_layer(const kiln_context* context, const char* layer);

/* All kernels, for all processors, and how many: by workload, the better ones first. */
LIBGUARD_API const kiln_kernel* LIBNAME_kernels(size_t* count);

/* The names of all layers, in the order of their bytes; and the key of each one's workload. */
LIBGUARD_API const char* LIBNAME_layer(size_t index, const char** workload); /* NULL: no more */

/* Which compiler made the kernels, and whether they are the code that was measured. */
LIBGUARD_API const char* LIBNAME_build(void);

#ifdef __cplusplus
}
#endif

#endif /* LIBGUARD_H_ */
