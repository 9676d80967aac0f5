/* The functions of this library. */
#ifndef @GUARD @_H_
#define @GUARD @_H_

#if defined(__GNUC__)
#define @GUARD @_API __attribute__((visibility("default")))
#else
#define @GUARD @_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Finds out what this processor can run, for calls with so many threads. Before anything else. */
@GUARD @_API void @NAME @_init(kiln_context* context, uint32_t threads);

/* The best kernel of the library for a workload, by its key, on the context's processor. NULL: there
 * is none that it can run. The kernel is there as long as the program. */
@GUARD @_API const kiln_kernel* @NAME @_find(const kiln_context* context, const char* workload);

/* The same for a layer of the network that the library was made from, by its name. */
@GUARD @_API const kiln_kernel* @NAME @_find_layer(const kiln_context* context, const char* layer);

/* All kernels, for all processors, and how many: by workload, the better ones first. */
@GUARD @_API const kiln_kernel* @NAME @_kernels(size_t* count);

/* The names of all layers, in the order of their bytes; and the key of each one's workload. */
@GUARD @_API const char* @NAME @_layer(size_t index, const char** workload); /* NULL: no more */

/* Which compiler made the kernels, and whether they are the code that was measured. */
@GUARD @_API const char* @NAME @_build(void);

#ifdef __cplusplus
}
#endif

#endif /* @GUARD@_H_ */
