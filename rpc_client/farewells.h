#pragma once

#include <memory>
#include <mutex>

#include "rpc_client/measure_stream.h"
#include "rpc_client/tracker_client.h"

namespace kiln {

// These are the ends of leases that are on their way to the tracker and to the device. Nobody waits
// for them, but they must not be lost when the program ends. Thread-safe.
class Farewells {
 public:
  // `stream` may be null. Waits for the former farewell, which is over unless something hangs.
  void Add(std::unique_ptr<PendingCall> release, std::shared_ptr<MeasureStream> stream);

 private:
  struct Farewell {
    std::unique_ptr<PendingCall> release;
    std::shared_ptr<MeasureStream> stream;
  };
  std::mutex mutex_;
  Farewell last_;
};

}  // namespace kiln
