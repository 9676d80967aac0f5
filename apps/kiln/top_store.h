#pragma once

#include <cstdint>
#include <string>

#include "apps/kiln/top_facts.h"

namespace kiln {

// What the trials of a database say of the last hour before `now_ms` (Unix time), whoever writes them.
// Opens it for reading; errors as OpenSqliteStatistics.
StatusOr<StoreFacts> ReadStoreFacts(const std::string& database, std::int64_t now_ms);

}  // namespace kiln
