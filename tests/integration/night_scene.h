#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/integration/logged_farm.h"

namespace kiln {

// A test with a real `kiln daemon` whose clock it sets, over a farm or this machine.
class NightTest : public LoggedFarmTest {
 protected:
  // What the daemon's clock shows from now on, and goes on from. Time that passes moves civil and
  // steady time, a clock that is set the civil one alone.
  void ShowTime(const std::string& rfc3339);
  void LetPass(std::chrono::seconds time);
  void SetClock(std::chrono::seconds by);

  // night.toml: `more` after the name, zone and socket, `listen` beside the socket; with the farm's
  // tracker if there is one.
  void Configure(const std::string& zone, const std::string& more, const std::string& listen = {});
  void StartDaemon();
  void StartServer(const std::string& name, const std::string& target,
                   const std::vector<std::string>& emulator = {});

  // `kiln submit --json` with these; the job.
  nlohmann::json Submit(std::vector<std::string> arguments);
  nlohmann::json JobOf(std::int64_t id);
  std::string StateOf(std::int64_t id);
  std::int64_t TrialsOf(std::int64_t id);  // made, as the daemon says
  bool EventuallyIn(std::int64_t id, const std::string& state);
  bool EventuallyMade(std::int64_t id, std::int64_t trials);
  // The command with --daemon.
  std::vector<std::string> ToDaemon(std::vector<std::string> command) const;

  std::unique_ptr<RunningProgram> daemon_;
  std::map<std::string, std::unique_ptr<RunningProgram>> servers_;
  std::map<std::string, std::vector<std::string>> server_commands_;

 private:
  void WriteClock() const;
  std::int64_t civil_ms_ = 0, steady_ms_ = 0;
};

}  // namespace kiln
