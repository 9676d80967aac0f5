#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace kiln {

// How a device has failed lately. There is none of a device that is well.
struct DeviceRecord {
  std::string owner;          // of the name: DeviceHello::owner
  std::int32_t failures = 0;  // leases in a row that ended in a fault
  std::string reason;         // the last of them
  // In quarantine until then; unset: it is not, or is on probation.
  std::optional<SteadyTime> until{};

  bool operator==(const DeviceRecord&) const = default;
};
using DeviceRecords = std::map<std::string, DeviceRecord, std::less<>>;  // by the device's name

// This is what is remembered of devices that fail, and who of them is kept apart until when.
//
// Failures are counted in a row: a success forgets them (Forget). After options.tolerated_failures a
// device is in quarantine for options.time. Then it is on *probation*: treated like any other, but one
// more failure and it is back, for twice as long, options.longest at most. A record goes with the name:
// neither a lost connection nor a new instance changes it.
//
// A pure value: it is told what happens and what time it is (never going back). Who may say that a
// device has failed, and how often of one lease, is its owner's affair. Calls cost O(log n) in the
// records. Not thread-safe.
class Quarantine {
 public:
  struct Options {
    std::int32_t tolerated_failures = 3;
    std::chrono::milliseconds time{30'000}, longest{600'000};
  };

  // Goes on with what a former one has left. Whoever kept that may have another idea of time: none is
  // in quarantine for longer than options.longest.
  Quarantine(const Options& options, DeviceRecords former, SteadyTime start);

  // The device has failed once more; the reason is for people. How long it is in quarantine for that;
  // nullopt: it is not yet.
  std::optional<std::chrono::milliseconds> CountFailure(SteadyTime now, const std::string& device,
                                                        const std::string& owner,
                                                        const std::string& reason);
  // Better words for the last failure; without effect on a device that is well.
  void Explain(std::string_view device, const std::string& reason);
  // It is well again, or no more. What was known of it; nullopt: nothing.
  std::optional<DeviceRecord> Forget(std::string_view device);

  enum class Standing : std::uint8_t {
    kAdmitted,    // well, or on probation
    kApart,       // nobody may be offered it before Find()->until
    kReadmitted,  // as kAdmitted; its time is over as of this call
  };
  Standing StandingOf(SteadyTime now, std::string_view device);

  const DeviceRecord* Find(std::string_view device) const;  // null: it is well
  const DeviceRecords& records() const { return records_; }
  std::uint64_t changes() const { return changes_; }  // of the records, so far

 private:
  const Options options_;
  DeviceRecords records_;
  std::uint64_t changes_ = 0;
};

}  // namespace kiln
