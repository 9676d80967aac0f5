#pragma once

#include <cstddef>

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

// What a program has of memory where it would have so many bytes without them, at most: several times
// as much for the shadow and what surrounds each object, and what was freed and is not used again yet.
inline constexpr std::size_t kSanitizerFactor = kHasSanitizer ? 4 : 1;
inline constexpr std::size_t kSanitizerBytes = kHasSanitizer ? 256 << 20 : 0;
constexpr std::size_t SanitizedBytes(std::size_t bytes) {
  return bytes * kSanitizerFactor + kSanitizerBytes;
}

}  // namespace kiln

#undef KILN_HAS_FEATURE
