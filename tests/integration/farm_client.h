#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace kiln {

// This is a client of a farm inside of the test: the client library, with what it says as words.
// Thread-safe, as long as a device is held.
class FarmClient {
 public:
  virtual ~FarmClient() = default;  // gives the device back
  // Waits for a device that serves this machine's target, and holds it from then on.
  virtual Status Acquire(std::chrono::milliseconds wait = std::chrono::minutes(2)) = 0;
  virtual void GiveBack() = 0;
  // Runs a test kernel on it: "ok", the name of a failure, or the error.
  virtual std::string Run(const std::string& kernel,
                          std::chrono::milliseconds time_out = std::chrono::seconds(10)) = 0;
};
std::unique_ptr<FarmClient> NewFarmClient(const std::string& tracker, const std::string& name);

// This is a lease whose holder does nothing with it: it neither keeps it alive nor connects.
class UnusedLease {
 public:
  virtual ~UnusedLease() = default;
  virtual Status Renew() = 0;
};
// Null after a failed expectation.
std::unique_ptr<UnusedLease> TakeUnusedLease(const std::string& tracker);

// What a tracker knows of a device; without a state if it does not answer or knows none.
struct SeenDevice {
  std::string state;  // "free", "offered", "leased", "lost"
  std::uint64_t epoch = 0;
};
SeenDevice LookAt(const std::string& tracker, const std::string& device);

}  // namespace kiln
