#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/status.h"
#include "ops/measurement.h"
#include "ops/target.h"
#include "search_space/config_space.h"

// The lock file: best configs as text that is committed beside the code that links them. Builds read
// it and nothing else.
//
//   # comments (the space belongs to it), and empty lines
//   kiln-lock 1
//   conv2d/... target=rasp4b threads=1 cache=hot template=conv2d.neon config=tile_h=1,tile_w=6
//     code=0123456789abcdef origin=tuned min_ns=1234.5 kind=measured confirmed=yes device=pi-3
//     measurement=UUID sum=01234567
//   target znver3-avx2 arch=x86_64 cpu=znver3 isa=avx2 cores=2 l1=32768 ... sum=89abcdef
//
// Each entry is one line (folded here), in the order of its bytes, so that a change of a best config
// changes one line and nothing else does. Lines know nothing of each other: of a merge conflict
// either side can be taken. `sum` is a digest of the line before it, which finds lines that were
// edited or damaged. A target that is no data file of Kiln's (ops/targets), as what `native` was
// on the machine that tuned, is described by a line of its own: other machines can then still tell
// whether an entry is stale. Bytes other than letters, digits and -_.+*/:@ are written %XX.

namespace kiln {

// How the config of an entry came about. The first two occur so far.
enum class Origin : std::uint8_t { kTuned, kDefault, kTransferred, kPredicted };
const char* Name(Origin origin);

// What an entry's time was measured by.
struct LockedTime {
  double min_ns = 0;
  TimeKind kind = TimeKind::kMeasured;
  bool confirmed = false;  // in turn with other finalists
  std::string device, uuid;
  bool operator==(const LockedTime&) const = default;
};

// What an entry is found by.
struct LockKey {
  std::string workload, target;
  std::int32_t threads = 1;
  CacheState cache = CacheState::kHot;
  auto operator<=>(const LockKey&) const = default;  // NOLINT(modernize-use-nullptr)
};

struct LockEntry {
  std::string kernel_template;
  ConfigLabels labels;
  std::uint64_t code_digest = 0;  // of the code that was measured
  Origin origin = Origin::kTuned;
  std::optional<LockedTime> time;  // none: nobody measured it
  std::int64_t line = 0;           // where it was read, from 1; 0: nowhere
};

struct LockFile {
  std::map<LockKey, LockEntry> entries;
  std::map<std::string, Target> targets;  // those that are described in it
};

inline constexpr int kLockVersion = 1;

// Strict; errors name the line (from 1) and what to do about it. kInvalidArgument: it was edited or
// damaged, or says what this Kiln does not know. kFailedPrecondition: an unresolved merge conflict, an
// entry or a target twice, or made by a newer Kiln.
StatusOr<LockFile> ParseLock(std::string_view text);

// The text of a lock file: equal files have equal text, and ParseLock reads it back.
std::string PrintLock(const LockFile& lock);

// One entry as people read it in messages: "dense/... target=rasp4b threads=1".
std::string Describe(const LockKey& key);

// ParseLock of a file, whose errors begin with its name here. kNotFound: there is none.
StatusOr<LockFile> ReadLockFile(const std::string& path);

// All or nothing: the file is the old one or the new one at any moment. kPermissionDenied,
// kResourceExhausted: why it could not be written.
Status WriteLockFile(const std::string& path, const LockFile& lock);

// The target of an entry: what the lock says it is, else the data file of that name. kNotFound.
StatusOr<Target> LockedTarget(const LockFile& lock, const std::string& name);

}  // namespace kiln
