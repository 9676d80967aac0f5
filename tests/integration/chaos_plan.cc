#include "tests/integration/chaos_plan.h"

#include "base/rng.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;

Blow DrawBlow(Rng& rng) {
  const std::uint64_t draw = rng.Below(10);
  return draw < 5 ? Blow::kKill : draw < 9 ? Blow::kStop : Blow::kStopAndKill;
}

// Mostly a moment; one in five as long as it takes leases and connections to be given up.
milliseconds DrawPause(Rng& rng) {
  return milliseconds(rng.Below(5) == 0 ? rng.Between(5'000, 20'000) : rng.Between(0, 4'000));
}

std::size_t DrawTarget(Rng& rng, const std::vector<ChaosTarget>& targets) {
  std::uint64_t all = 0;
  for (const ChaosTarget& target : targets) all += static_cast<std::uint64_t>(target.weight);
  std::uint64_t draw = rng.Below(all);
  std::size_t i = 0;
  while (draw >= static_cast<std::uint64_t>(targets[i].weight)) {
    draw -= static_cast<std::uint64_t>(targets[i++].weight);
  }
  return i;
}

}  // namespace

const char* Name(Blow blow) {
  switch (blow) {
    case Blow::kKill:
      return "killed";
    case Blow::kStop:
      return "stopped";
    case Blow::kStopAndKill:
      return "stopped and killed";
  }
  return "";
}

const char* Name(Reach reach) {
  switch (reach) {
    case Reach::kAlone:
      return "alone";
    case Reach::kGroup:
      return "with its group";
    case Reach::kTree:
      return "with all below it";
  }
  return "";
}

std::vector<ChaosEvent> PlanChaos(std::uint64_t seed, milliseconds time,
                                  const std::vector<ChaosTarget>& targets) {
  Rng rng(seed);
  std::vector<ChaosEvent> events;
  std::vector<milliseconds> left_alone_until(targets.size());
  for (milliseconds at(0);;) {
    at += milliseconds(rng.Between(100, 1'500));
    if (at >= time) return events;
    ChaosEvent event;
    event.at = at;
    event.target = DrawTarget(rng, targets);
    event.blow = DrawBlow(rng);
    event.reach = static_cast<Reach>(rng.Below(3));
    event.pause = DrawPause(rng);
    const milliseconds rest(rng.Between(500, 5'000));
    if (at < left_alone_until[event.target]) continue;
    left_alone_until[event.target] = at + event.pause + rest;
    events.push_back(event);
  }
}

}  // namespace kiln
