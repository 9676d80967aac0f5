#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "export/library_files.h"

namespace kiln {

// What manifest.json says of an object.
struct ObjectRecord {
  std::uint64_t job_digest = 0;     // of the CompileJob that made it
  std::uint64_t object_digest = 0;  // of its bytes
};
using ObjectRecords = std::map<std::string, ObjectRecord>;  // by path in the library's directory

// manifest.json: which configs a library has, where they come from, and by what its objects were
// made. `objects` is empty for C.
std::string PrintManifest(const Library& library, const LibraryStyle& style,
                          const ObjectRecords& objects);

// What a manifest that is there already says, for whoever writes the library again. kInvalidArgument:
// it is no manifest of a library.
struct PresentManifest {
  LibraryStyle style;
  ObjectRecords objects;
};
StatusOr<PresentManifest> ParseManifest(const std::string& text);

}  // namespace kiln
