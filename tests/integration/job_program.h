#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/programs.h"

namespace kiln {

// This is `kiln run-job` as the daemon starts it: with a socket, on which it is told what to do and
// says how that goes.
class JobProgram {
 public:
  // `command` becomes it (it may be a program that starts it).
  JobProgram(const Scratch& scratch, const std::string& order,
             const std::vector<std::string>& command = {"kiln", "run-job"});
  ~JobProgram();
  JobProgram(const JobProgram&) = delete;
  JobProgram& operator=(const JobProgram&) = delete;

  // The next thing that it says; nullopt: nothing any more, or not within kPatience.
  std::optional<nlohmann::json> Next();
  // Reads on until something is said that this is true of; false: it never was.
  bool ReadUntil(const std::function<bool(const nlohmann::json&)>& condition);
  // The same, of an event of this name.
  bool ReadUntilEvent(const std::string& name);
  // Reads to the end, which must be an "ended" event, and returns that.
  nlohmann::json End();
  // All that was read, of this event.
  std::vector<nlohmann::json> Said(const std::string& event) const;

  void HangUp();  // closes our end of the socket
  RunningProgram& program() { return program_; }

 private:
  int socket_ = -1, theirs_ = -1;
  RunningProgram program_;
  std::vector<nlohmann::json> said_;
};

}  // namespace kiln
