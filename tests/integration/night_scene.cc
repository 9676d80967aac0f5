#include "tests/integration/night_scene.h"

#include <cstdio>
#include <ctime>

#include "tests/integration/json_lines.h"

namespace kiln {

void NightTest::WriteClock() const {
  scratch_.Write("clock.new", std::to_string(civil_ms_) + " " + std::to_string(steady_ms_) + "\n");
  ASSERT_EQ(std::rename(scratch_.Path("clock.new").c_str(), scratch_.Path("clock").c_str()), 0);
}

void NightTest::ShowTime(const std::string& rfc3339) {
  std::tm tm{};
  ASSERT_NE(strptime(rfc3339.c_str(), "%Y-%m-%dT%H:%M:%SZ", &tm), nullptr);
  civil_ms_ = 1000 * static_cast<std::int64_t>(timegm(&tm)) - ToUnixMs(SystemClock().Today());
  WriteClock();
}

void NightTest::LetPass(std::chrono::seconds time) {
  civil_ms_ += 1000 * time.count();
  steady_ms_ += 1000 * time.count();
  WriteClock();
}

void NightTest::SetClock(std::chrono::seconds by) {
  civil_ms_ += 1000 * by.count();
  WriteClock();
}

void NightTest::Configure(const std::string& zone, const std::string& more,
                          const std::string& listen) {
  std::string text = "name = \"owl\"\nzone = \"" + zone + "\"\ndatabase = \"" +
                     scratch_.database() + "\"\n" +
                     "[listen]\nsocket = \"unix:" + scratch_.Path("daemon.sock") + "\"\n" + listen;
  if (!address_.empty()) text += "[farm]\ntracker = \"" + address_ + "\"\n";
  scratch_.Write("night.toml", text + more);
}

void NightTest::StartDaemon() {
  daemon_ = std::make_unique<RunningProgram>(
      scratch_, std::vector<std::string>{"kiln", "daemon", "--config", scratch_.Path("night.toml"),
                                         "--test-clock", scratch_.Path("clock")});
  ASSERT_FALSE(daemon_->Address().empty());
}

void NightTest::StartServer(const std::string& name, const std::string& target,
                            const std::vector<std::string>& emulator) {
  std::vector<std::string> command = {"kiln-server", "--tracker", address_, "--target",
                                      target,        "--name",    name};
  if (!emulator.empty()) {
    command.insert(command.end(), {"--emulator", emulator[0], "--cpu", emulator[1]});
  }
  server_commands_[name] = command;
  servers_[name] = std::make_unique<RunningProgram>(scratch_, command);
  servers_[name]->Address();
}

std::vector<std::string> NightTest::ToDaemon(std::vector<std::string> command) const {
  command.insert(command.end(), {"--daemon", "unix:" + scratch_.Path("daemon.sock")});
  return command;
}

nlohmann::json NightTest::Submit(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "submit");
  arguments.push_back("--json");
  const Outcome outcome = Kiln(ToDaemon(arguments));
  const auto jobs = JsonLines(outcome.out);
  EXPECT_EQ(jobs.size(), 1u) << outcome.err;
  return jobs.empty() ? nlohmann::json::object() : jobs[0];
}

nlohmann::json NightTest::JobOf(std::int64_t id) {
  const Outcome outcome = Kiln(ToDaemon({"job", std::to_string(id), "--json"}));
  const auto jobs = JsonLines(outcome.out);
  EXPECT_EQ(jobs.size(), 1u) << outcome.err;
  return jobs.empty() ? nlohmann::json::object() : jobs[0];
}

std::string NightTest::StateOf(std::int64_t id) { return JobOf(id).value("state", ""); }
std::int64_t NightTest::TrialsOf(std::int64_t id) {
  return JobOf(id).value("trials", std::int64_t{0});
}

bool NightTest::EventuallyIn(std::int64_t id, const std::string& state) {
  return daemon_->WaitUntil([&] { return StateOf(id) == state; });
}
bool NightTest::EventuallyMade(std::int64_t id, std::int64_t trials) {
  return daemon_->WaitUntil([&] { return TrialsOf(id) >= trials; });
}

}  // namespace kiln
