#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "toolchain/compiler.h"

namespace kiln {

// What came of looking for an object.
enum class CacheLookup : std::uint8_t { kHit, kMiss };

struct ArtifactCacheOptions {
  std::string directory;                         // created when something is stored
  std::int64_t bytes = 1LL << 30;                // of all entries together, approximately
  std::uint64_t compiler = 0;                    // the identity of what compiles: part of every key
  std::function<void(CacheLookup)> on_lookup{};  // on the threads that compile; null: nobody cares
};

// A Compiler that remembers the objects of `inner` on disk; assembly and failures pass through. An
// entry is named by a digest of the job and the compiler, and lies in <directory>/ab/cdef...: one
// line of text (format, key, digest of the object, compiler), then the object. Entries appear by
// rename, so processes may share the directory; one whose digest is wrong is compiled again. A
// directory that cannot be written costs a warning, not the build.
std::unique_ptr<Compiler> NewArtifactCache(std::unique_ptr<Compiler> inner,
                                           const ArtifactCacheOptions& options);

}  // namespace kiln
