#pragma once

#include <optional>
#include <vector>

#include "apps/kiln/command.h"
#include "dashboard/stored_bests.h"
#include "models/model.h"

namespace kiln {

// The name that results of --target are stored under: of a target that is known here, or as it is
// given where the database has results of it, as of another machine that was `native` there. Else
// a usage error.
StatusOr<std::string> StoredTarget(const TuningStore& store, const std::string& option);

StatusOr<std::vector<StoredBest>> ReadBests(const Environment& env, const TuningStore& store,
                                            const BestQuery& query);

// Says on standard error what of the store this version cannot find any more, if anything.
Status TellUnknownWorkloads(const TuningStore& store);

// Says on standard error which layers of the network have trials under a key of before, which is
// another computation's today (FormerKey), but none under their own.
Status TellFormerKeys(const TuningStore& store, const Network& network);

// The stored best config of a task that its template still lowers to the code that was measured;
// nullopt: none.
StatusOr<std::optional<Config>> StoredConfig(const TuningStore& store, const Task& task,
                                             CacheState cache);

}  // namespace kiln
