#include "measure/next_trial.h"

namespace kiln {
namespace {

// Whether a trial that shuns this device is to be run on it all the same.
bool IsLeftTo(const HeldDevice& device, bool is_proven, const PendingTrial& pending,
              const Surroundings& around) {
  const auto is_not_shunned = [&](const std::string& name) { return !pending.trial.Shuns(name); };
  const auto is_well = [&](const std::string& name) { return !pending.trial.IsUnwell(name); };
  if (HoldsOne(around.held, pending.needs, is_not_shunned)) return false;
  if (!is_well(device.name) && HoldsOne(around.held, pending.needs, is_well)) return false;
  const bool is_all = around.held.size() >= around.most_devices;
  const bool has_waited = around.now >= pending.suspect_since + around.second_opinion_wait;
  // What it will say is worth little before it is proven, and other work may do that yet.
  if (!is_proven && around.proof != pending.needs) {
    const bool is_over = has_waited || (is_all && around.most_devices > 1);
    return is_over && around.is_last;
  }
  // Who was refused since has found no other device.
  return has_waited || is_all || around.refused != pending.refused_before;
}

}  // namespace

std::optional<std::size_t> NextTrialFor(const Seeker& seeker,
                                        std::span<const PendingTrial* const> trials,
                                        const Surroundings& around) {
  std::optional<std::size_t> shunned;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const PendingTrial& pending = *trials[i];
    if (pending.not_before > around.now) continue;
    const bool serves = seeker.device && seeker.device->kind == pending.needs;
    if (!serves || !pending.trial.Shuns(seeker.device->name)) return i;
    if (!shunned && IsLeftTo(*seeker.device, seeker.is_proven, pending, around)) shunned = i;
  }
  return shunned;
}

std::optional<SteadyTime> NextChange(std::span<const PendingTrial* const> trials,
                                     const Surroundings& around) {
  std::optional<SteadyTime> next;
  const auto consider = [&](SteadyTime when) {
    if (when > around.now && (!next || when < *next)) next = when;
  };
  for (const PendingTrial* pending : trials) {
    consider(pending->not_before);
    if (pending->trial.is_suspect()) {
      consider(pending->suspect_since + around.second_opinion_wait);
    }
  }
  return next;
}

}  // namespace kiln
