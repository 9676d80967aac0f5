#include "daemon/end_command.h"

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <functional>
#include <future>
#include <sstream>

#include "tests/base/on_reactor.h"
#include "tests/base/temporary_directory.h"
#include "tests/daemon/fake_night.h"

namespace kiln {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// Real commands, on a reactor's thread; the log is kept.
class EndCommandTest : public testing::Test {
 protected:
  EndCommandTest() {
    const auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(log_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  }
  ~EndCommandTest() override {
    OnReactor([this] { commands_.reset(); });
    spdlog::set_default_logger(before_);
  }

  void OnReactor(const std::function<void()>& work) const { RunOn(*reactor_, work); }
  // A shell that does this, in so much time.
  static DaemonConfig Command(const std::string& script, seconds time = seconds(60)) {
    DaemonConfig config = NightConfig();
    config.command = {"/bin/sh", "-c", script};
    config.command_time = time;
    return config;
  }
  void Run(const DaemonConfig& config, std::int64_t job, const std::string& json = "{}") {
    OnReactor([&] { commands_->Run(config, job, json); });
  }
  // What was logged until all commands have ended.
  std::string AwaitLog() {
    bool idle = false;
    const auto give_up = std::chrono::steady_clock::now() + seconds(30);
    while (!idle && std::chrono::steady_clock::now() < give_up) {
      OnReactor([&] { idle = commands_->is_idle(); });
    }
    EXPECT_TRUE(idle) << "they go on";
    std::string text;
    OnReactor([&] { text = log_.str(); });
    return text;
  }

  const TemporaryDirectory place_;
  std::ostringstream log_;
  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  std::vector<std::int64_t> told_;  // the reactor's
  std::shared_ptr<EndCommand> commands_ =
      NewEndCommand(*reactor_, [this](std::int64_t job) { told_.push_back(job); });
};

TEST_F(EndCommandTest, CommandReadsTheJobAsALine) {
  Run(Command("exec /bin/cat > " + place_.File("told")), 7, R"({"id":7})");
  EXPECT_EQ(AwaitLog(), "");
  EXPECT_EQ(BytesOf(place_.File("told")), "{\"id\":7}\n");
}

TEST_F(EndCommandTest, OneAfterTheOtherInTheOrderOfTheEnds) {
  // Whoever finds another one running says so.
  const DaemonConfig config = Command("cd " + place_.path().string() +
                                      " && mkdir lock && cat >> told && rmdir lock || exit 1");
  OnReactor([&] {
    for (int job = 1; job <= 20; ++job) commands_->Run(config, job, std::to_string(job));
  });
  EXPECT_EQ(AwaitLog(), "");
  std::string all;
  for (int job = 1; job <= 20; ++job) all += std::to_string(job) + "\n";
  EXPECT_EQ(BytesOf(place_.File("told")), all);
}

TEST_F(EndCommandTest, OneThatHangsIsKilledAndTheNextRuns) {
  OnReactor([&] {
    commands_->Run(Command("exec sleep 1000", seconds(0)), 1, "{}");
    commands_->Run(Command("cat > " + place_.File("told")), 2, "{}");
  });
  const std::string log = AwaitLog();
  EXPECT_THAT(log, HasSubstr("command at the end of job 1 took too long: killed"));
  EXPECT_EQ(log.find("job 2"), std::string::npos) << log;
  EXPECT_EQ(BytesOf(place_.File("told")), "{}\n");
}

TEST_F(EndCommandTest, OneThatFailsIsLoggedWithItsLastLine) {
  Run(Command("echo first; echo no mail today >&2; exit 3"), 4);
  EXPECT_THAT(AwaitLog(),
              HasSubstr("command at the end of job 4 exited with status 3: no mail today"));
}

TEST_F(EndCommandTest, OneThatCannotBeStartedIsLoggedAndTheNextRuns) {
  DaemonConfig missing = NightConfig();
  missing.command = {"/nowhere/tell"};
  Run(missing, 1);
  Run(Command("cat > " + place_.File("told")), 2);
  EXPECT_THAT(AwaitLog(), HasSubstr("command at the end of job 1: cannot start /nowhere/tell"));
  EXPECT_EQ(BytesOf(place_.File("told")), "{}\n");
}

TEST_F(EndCommandTest, OneThatReadsNothingIsNoMistake) {
  Run(Command("exit 0"), 1, std::string(4 << 20, 'x'));
  EXPECT_EQ(AwaitLog(), "");
}

TEST_F(EndCommandTest, EachIsToldOnceItsCommandHasEndedHoweverItDid) {
  OnReactor([&] {
    DaemonConfig missing = NightConfig();
    missing.command = {"/nowhere/tell"};
    commands_->Run(Command("exit 0"), 1, "{}");
    commands_->Run(missing, 2, "{}");
    commands_->Run(Command("exit 7"), 3, "{}");
    commands_->Run(Command("exec sleep 1000", seconds(0)), 4, "{}");
    commands_->Run(NightConfig(), 5, "{}");
    EXPECT_THAT(told_, testing::IsEmpty());
  });
  AwaitLog();
  OnReactor([&] { EXPECT_THAT(told_, testing::ElementsAre(1, 2, 3, 4)); });
}

TEST_F(EndCommandTest, WhatGoesWithTheDaemonIsNotTold) {
  OnReactor([&] {
    commands_->Run(Command("exec sleep 1000"), 1, "{}");
    commands_->Run(Command("exit 0"), 2, "{}");
    commands_.reset();
  });
  OnReactor([&] { EXPECT_THAT(told_, testing::IsEmpty()); });
}

TEST_F(EndCommandTest, WithoutACommandNothingRuns) {
  OnReactor([this] {
    commands_->Run(NightConfig(), 1, "{}");
    EXPECT_TRUE(commands_->is_idle());
  });
}

TEST_F(EndCommandTest, TooManyThatWaitAreLeftOutAndLogged) {
  OnReactor([&] {
    commands_->Run(Command("exec sleep 1000"), 0, "{}");
    for (int job = 1; job <= 1001; ++job) commands_->Run(Command("exit 0"), job, "{}");
  });
  std::string log;
  OnReactor([&] { log = log_.str(); });
  EXPECT_THAT(log, HasSubstr("command at the end of job 1001 left out: 1000 others wait"));
}

}  // namespace
}  // namespace kiln
