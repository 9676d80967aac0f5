#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "base/clock.h"
#include "measure/device_judge.h"
#include "ops/measurement.h"

// Which trial is the next for a device? Pure functions: what they know is in their arguments.
//
// Trials are taken in their order, but those that wait for better times (not_before), and those that
// *shun* the device (device_judge.h): they came to a bad end on it, and another one is to be asked. A
// trial that every device shuns must not wait for ever: it is *left to* a device that it shuns when no
// other can be had, and nothing better is to be expected from waiting.

namespace kiln {

// What a trial needs, and what a device is.
struct DeviceKind {
  std::string target;
  TimeKind times = TimeKind::kMeasured;
  auto operator<=>(const DeviceKind&) const = default;
};

// A device that somebody here holds.
struct HeldDevice {
  DeviceKind kind;
  std::string name;
  auto operator<=>(const HeldDevice&) const = default;
};

// A trial whose kernel is built, as far as the choice of its device is concerned.
struct PendingTrial {
  DeviceKind needs;
  TrialCase trial;
  SteadyTime not_before{};  // after losses
  // When its last answer asked for another one, and how often somebody here had been refused a device
  // by then.
  SteadyTime suspect_since{};
  std::int64_t refused_before = 0;
};

// Who looks for its next trial.
struct Seeker {
  std::optional<HeldDevice> device;  // none: any trial will do, a device is taken for it
  bool is_proven = false;            // DeviceStanding::is_proven() of the device
};

// Everything else that matters.
struct Surroundings {
  SteadyTime now{};
  std::multiset<HeldDevice> held;   // by all seekers
  std::size_t most_devices = 1;     // nobody asks for more
  std::int64_t refused = 0;         // how often a seeker was not given a device
  bool is_last = false;             // nothing is being built, nor waits to be
  std::optional<DeviceKind> proof;  // for these there is a kernel that was right before
  Nanoseconds second_opinion_wait{0};
};

// One of the held devices is of this kind, and the condition holds of its name.
template <typename Condition>
bool HoldsOne(const std::multiset<HeldDevice>& held, const DeviceKind& kind,
              const Condition& condition) {
  for (const HeldDevice& one : held) {
    if (one.kind == kind && condition(one.name)) return true;
  }
  return false;
}

// The place of the trial that the seeker is to care for next; nullopt: none, for now.
std::optional<std::size_t> NextTrialFor(const Seeker& seeker,
                                        std::span<const PendingTrial* const> trials,
                                        const Surroundings& around);

// When the answer may be another one though nothing happens; nullopt: never.
std::optional<SteadyTime> NextChange(std::span<const PendingTrial* const> trials,
                                     const Surroundings& around);

}  // namespace kiln
