#pragma once

#include <string>

#include "base/rng.h"

namespace kiln {

// A version-4 UUID in its canonical form, from the operating system's randomness: unique across
// machines, so that databases merge.
std::string RandomUuid();

// The same form from a seeded stream: for tests and replays that must be repeatable.
std::string DeterministicUuid(Rng& rng);

}  // namespace kiln
