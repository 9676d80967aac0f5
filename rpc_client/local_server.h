#pragma once

#include <memory>
#include <string>

#include "base/reactor.h"
#include "base/status.h"
#include "rpc_client/rpc_client.h"

namespace kiln {

// This is a kiln-server of our own: a child on a Unix socket in a directory that only this user can
// enter. Thread-safe. The destructor ends it and removes the directory.
class LocalServer {
 public:
  virtual ~LocalServer() = default;
  virtual const std::string& address() const = 0;  // stays the same over restarts
  // Starts it again if it has died. An error if it does not start, or dies too often.
  virtual Status EnsureRunning() = 0;
};

StatusOr<std::unique_ptr<LocalServer>> StartLocalServer(Reactor& reactor,
                                                        const LocalDeviceOptions& options);

}  // namespace kiln
