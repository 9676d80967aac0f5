#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kiln {

// What is done to a program, and to what of it.
enum class Blow {
  kKill,         // SIGKILL
  kStop,         // SIGSTOP, and SIGCONT after the pause
  kStopAndKill,  // SIGSTOP, and SIGKILL after half of the pause
};
enum class Reach {
  kAlone,
  kGroup,  // its process group, as a shell or a service manager does
  kTree,   // all that it has started as well, in whatever group: as a control group does
};
const char* Name(Blow blow);
const char* Name(Reach reach);

// This is a program that chaos strikes, by what it is; `weight` says how often, beside the others.
struct ChaosTarget {
  std::string kind;  // "server"
  int weight = 1;
};

struct ChaosEvent {
  std::chrono::milliseconds at{0};  // from the beginning
  std::size_t target = 0;           // its place among the targets
  Blow blow = Blow::kKill;
  Reach reach = Reach::kAlone;
  std::chrono::milliseconds pause{0};  // until it goes on, or is started again
};

// Draws what happens within the time, in order. The same arguments give the same events. A target that
// was struck is left alone until it goes on, and for a moment after that, so that it comes to something.
std::vector<ChaosEvent> PlanChaos(std::uint64_t seed, std::chrono::milliseconds time,
                                  const std::vector<ChaosTarget>& targets);

}  // namespace kiln
