#pragma once

#include <cstdint>
#include <string>

#include "kernel_host/runner_process.h"
#include "ops/workload.h"

namespace kiln {

// What a step costs beside the calls in it. Measured before any kernel has been called, so that none
// has had a hand in it.
struct StepCosts {
  StepTime empty;
  double bytes_per_ns =
      8;  // at which a runner reads and writes what its supervisor has just written
};

// This decides whether a process may be believed that has measured its own kernel: calls by the clock
// of its supervisor must not take much longer than it claims, neither repeated ones nor such with
// inputs that it has never seen. What else the machine does can only lengthen a step, so one that is
// short enough is evidence, and one that is not is none.
class Audit {
 public:
  // `claimed_ns`: of a call. `fresh_places`: how many calls with new inputs a step can make.
  Audit(double claimed_ns, const Workload& workload, std::uint32_t fresh_places,
        const StepCosts& costs);

  // How many calls the next step of either kind makes: as many as last long enough beside what a step
  // costs if the claim is true, and do not last too long if it is not.
  std::uint32_t repeated_calls() const;
  std::uint32_t fresh_calls() const;
  void AddRepeated(std::uint32_t calls, const StepTime& time);
  void AddFresh(std::uint32_t calls, const StepTime& time);

  bool repeated_holds() const { return repeated_.holds; }
  bool fresh_holds() const { return fresh_.holds; }
  // Why it is not believed, once enough has been tried.
  std::string Objection() const;

 private:
  struct Evidence {
    void Add(double wall_ns, double processor_ns, std::uint32_t calls, double allowed_ns);

    int steps = 0, by_account = 0;
    double least_ns = 0;  // of a call
    bool holds = false;
  };

  double wanted_calls() const;
  void Add(Evidence& evidence, std::uint32_t calls, const StepTime& time, double allowed_ns) const;

  const double claimed_ns_;
  const std::uint32_t fresh_places_;
  const StepTime empty_;
  const double fetch_weights_ns_, fetch_data_ns_;
  Evidence repeated_, fresh_;
};

}  // namespace kiln
