#include "kernel_host/audit.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace kiln {
namespace {

constexpr double kLongEnoughNs = 50'000;
constexpr double kBesideFetching = 3;  // of the time that it may take to fill the caches
constexpr double kTooLongNs = 1'000'000;
constexpr double kFirstCalls = 16;  // before it is known what a call takes
constexpr int kStepsOfALength = 4;  // before longer ones are tried

// What a kernel can gain by a lie about its time, and by leaving out what it did before. An honest
// one pays the rest in cold caches and unforeseen branches.
constexpr double kLie = 1.25, kSkip = 1.5;
constexpr double kStepSlackNs = 10'000, kFreshCallSlackNs = 500;

std::uint32_t Calls(double wanted, double most) {
  return static_cast<std::uint32_t>(std::clamp(wanted, 1.0, std::max(most, 1.0)));
}

}  // namespace

Audit::Audit(double claimed_ns, const Workload& workload, std::uint32_t fresh_places,
             const StepCosts& costs)
    : claimed_ns_(std::max(claimed_ns, 1e-3)),
      fresh_places_(fresh_places),
      empty_(costs.empty),
      fetch_weights_ns_(static_cast<double>(workload.w_bytes()) / costs.bytes_per_ns),
      fetch_data_ns_(static_cast<double>(workload.x_bytes() + workload.y_bytes()) /
                     costs.bytes_per_ns) {}

double Audit::wanted_calls() const {
  return std::ceil(std::max(kLongEnoughNs, kBesideFetching * (fetch_weights_ns_ + fetch_data_ns_)) /
                   claimed_ns_);
}

std::uint32_t Audit::repeated_calls() const {
  // Mostly all is still in the caches.
  if (repeated_.steps == 0) return Calls(std::ceil(kLongEnoughNs / claimed_ns_), kFirstCalls);
  const double longer = std::exp2(repeated_.steps / kStepsOfALength);
  return Calls(wanted_calls() * longer, kTooLongNs / std::max(repeated_.least_ns, 1.0));
}

std::uint32_t Audit::fresh_calls() const { return Calls(wanted_calls(), fresh_places_); }

void Audit::AddRepeated(std::uint32_t calls, const StepTime& time) {
  // All may have left the caches since the last step, where the machine has other work. A step too
  // short for that is evidence only if they have not.
  const double claimed_ns = claimed_ns_ * calls;
  const double fetch_ns =
      std::min(fetch_weights_ns_ + fetch_data_ns_, claimed_ns / kBesideFetching);
  Add(repeated_, calls, time, kLie * claimed_ns + fetch_ns + kStepSlackNs);
  // So few calls of so short a kernel say nothing.
  if (repeated_.steps == 1 && claimed_ns < kLongEnoughNs) repeated_.holds = false;
}

void Audit::AddFresh(std::uint32_t calls, const StepTime& time) {
  const double call_ns = kSkip * claimed_ns_ + fetch_data_ns_ + kFreshCallSlackNs;
  Add(fresh_, calls, time, call_ns * calls + fetch_weights_ns_);
}

void Audit::Add(Evidence& evidence, std::uint32_t calls, const StepTime& time,
                double allowed_ns) const {
  evidence.Add(time.wall_ns - empty_.wall_ns, time.processor_ns - empty_.processor_ns, calls,
               allowed_ns);
}

void Audit::Evidence::Add(double wall_ns, double processor_ns, std::uint32_t calls,
                          double allowed_ns) {
  // The system's account lacks, now and then, what a process has computed since it was last looked
  // at: once in about a thousand steps all of it. So it counts when it says the same again.
  constexpr int kTimesByAccount = 3;
  constexpr double kMostlyWaited = 64;
  const double call_ns = std::max(std::min(processor_ns, wall_ns), wall_ns / kMostlyWaited) / calls;
  least_ns = steps == 0 ? call_ns : std::min(least_ns, call_ns);
  ++steps;
  if (processor_ns <= allowed_ns) ++by_account;
  if (wall_ns <= allowed_ns || by_account >= kTimesByAccount) holds = true;
}

std::string Audit::Objection() const {
  // Either repeated calls take no time, or only its process says so.
  constexpr double kAsLong = 0.7;
  const bool is_lie = fresh_.steps == 0 || repeated_.least_ns > kAsLong * fresh_.least_ns;
  char text[160];
  if (is_lie) {
    std::snprintf(text, sizeof text,
                  "its process measured %.4g ns a call, the clock outside of it %.4g ns",
                  claimed_ns_, std::max(repeated_.least_ns, fresh_.least_ns));
  } else {
    std::snprintf(text, sizeof text,
                  "repeated calls took %.4g ns, calls with new inputs %.4g ns: it does not do its "
                  "work every time",
                  claimed_ns_, fresh_.least_ns);
  }
  return text;
}

}  // namespace kiln
