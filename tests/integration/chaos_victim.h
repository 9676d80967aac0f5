#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/chaos_plan.h"
#include "tests/integration/programs.h"

namespace kiln {

// This is a program that is killed and stopped, and started again: always the same command, or what its
// starter gives. Not thread-safe.
class ChaosVictim {
 public:
  using Starter = std::function<std::unique_ptr<RunningProgram>()>;
  using Time = std::chrono::steady_clock::time_point;

  // Starts it. `ended` hears how it has ended by itself; it is started again then.
  ChaosVictim(std::string name, Starter start, std::function<void(const Outcome&)> ended);

  const std::string& name() const { return name_; }
  RunningProgram& program() { return *program_; }
  bool runs() const { return program_ != nullptr; }

  // Begins what the event says; what is left of it is done by Tend(). False: it has just ended by itself.
  bool Strike(const ChaosEvent& event, Time now);
  // Does what is due.
  void Tend(Time now);
  // It goes on, or is started again, at once.
  void Heal();
  // Waits for its end, after which it is not started again.
  Outcome Wait(std::chrono::seconds patience);
  void Start();

 private:
  enum class State { kUp, kStopped, kToBeKilled, kDown };

  bool HasEnded() const;
  void Signal(int signal);
  void Kill();
  Outcome Collect(std::chrono::seconds patience);

  const std::string name_;
  const Starter start_;
  const std::function<void(const Outcome&)> ended_;
  std::unique_ptr<RunningProgram> program_;
  State state_ = State::kUp;
  Reach reach_ = Reach::kAlone;  // of what was done to it
  Time due_, due_after_kill_;
};

// Appends to a file in $KILN_CHAOS_LOGS, if it is set: for whoever looks for what went wrong.
void KeepForInspection(const std::string& file, const std::string& text);

// Waits until every child of this process but those that were started here and still run has ended:
// what outlives its parent becomes such a child, after AdoptOrphans(). Returns those that run on.
std::vector<Process> AwaitEndOfOrphans(const std::vector<ChaosVictim*>& victims,
                                       std::chrono::seconds patience);

// The processes of this user that were started with this variable (NAME=value) in their environment,
// this one not counted. Zombies have none any more.
std::vector<Process> ProcessesWith(const std::string& variable);

}  // namespace kiln
