#pragma once

// Both kinds of compilers say by which sanitizer they instrument the program, each in its own way.
#if defined(__has_feature)
#define KILN_HAS_FEATURE(feature) __has_feature(feature)
#else
#define KILN_HAS_FEATURE(feature) 0
#endif

namespace kiln {

// Of addresses; that of undefined behaviour comes with it (CMakePresets.json).
#if defined(__SANITIZE_ADDRESS__) || KILN_HAS_FEATURE(address_sanitizer)
inline constexpr bool kHasAddressSanitizer = true;
#else
inline constexpr bool kHasAddressSanitizer = false;
#endif

// Of data races.
#if defined(__SANITIZE_THREAD__) || KILN_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kHasThreadSanitizer = true;
#else
inline constexpr bool kHasThreadSanitizer = false;
#endif

// Their shadows take terabytes of addresses.
inline constexpr bool kHasSanitizer = kHasAddressSanitizer || kHasThreadSanitizer;

}  // namespace kiln

#undef KILN_HAS_FEATURE
