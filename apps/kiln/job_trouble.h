#pragma once

#include <utility>

#include "base/status.h"
#include "daemon/tuner_messages.h"

namespace kiln {

// Marks an error with what the daemon is to make of it.
Status AsTrouble(TunerTrouble trouble, Status status);
template <typename Value>
StatusOr<Value> AsTrouble(TunerTrouble trouble, StatusOr<Value> value) {
  if (value.ok()) return value;
  return AsTrouble(trouble, std::move(value).status());
}

// kError where nothing is marked.
TunerTrouble TroubleOf(const Status& status);

}  // namespace kiln
