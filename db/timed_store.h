#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "db/tuning_store.h"

namespace kiln {

// Is told what becomes of a store, on the threads that use it.
struct StoreObserver {
  std::function<void(Nanoseconds)> appended;  // how long trials took until they were kept
  std::function<void(const Status&)> failed;  // of any call: an error of the store
};

// A TuningStore that passes everything on to `inner` and tells. The clock must outlive it.
std::unique_ptr<TuningStore> NewTimedStore(std::unique_ptr<TuningStore> inner, const Clock& clock,
                                           StoreObserver observer);

}  // namespace kiln
