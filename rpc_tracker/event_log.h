#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "rpc_tracker/lease_table.h"

namespace kiln {

// This is a record of what a lease table has done, one JSON object a line, in its order: from it
// anybody can check that no device was ever leased twice (rpc_tracker/event_check.h). A thread of
// its own writes it, so that a slow disk delays nobody; if that falls far behind, a line of kind
// "missing" says how many events are missing. Thread-safe.
class EventLog {
 public:
  virtual ~EventLog() = default;  // writes what it has
  virtual void Append(std::vector<LeaseEvent> events) = 0;
};

// Appends to the file, or makes it. An error says why it cannot be written.
StatusOr<std::unique_ptr<EventLog>> OpenEventLog(const std::string& path, const Clock& clock);

}  // namespace kiln
