// Nights in miniature: the real daemon, tracker, servers and tuners, with a clock of the test's.

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <set>

#include "base/paths.h"
#include "tests/integration/json_lines.h"
#include "tests/integration/night_scene.h"
#include "tests/integration/stored_trials.h"

namespace kiln {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;

constexpr char kPointwise[] =
    "conv2d/i8/n1h14w14c32/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=step1/double";
constexpr char kOther[] =
    "conv2d/i8/n1h14w14c64/o32/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=step1/double";
constexpr char kDense[] = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";

// Berlin's.
constexpr char kNight[] =
    "[[window]]\nname = \"night\"\nfrom = \"22:00\"\nto = \"06:00\"\n"
    "[jobs]\ndefault_window = \"night\"\ngrace = \"60s\"\nlease = \"3s\"\n";

std::string Why(const nlohmann::json& job) { return job.value("text", ""); }

class NightInMiniatureTest : public NightTest {
 protected:
  void SetUp() override {
    if (!FindProgram("qemu-aarch64").ok() || !FindHelper("kiln-host-aarch64").ok()) {
      GTEST_SKIP() << "SKIPPED: no qemu-aarch64, or no compiler to build kiln-host-aarch64 with "
                      "(Debian: apt install qemu-user g++-aarch64-linux-gnu)";
    }
    StartTracker("127.0.0.1:0", {"--lease-ttl", "2"});
    StartServer("real", "native");
    StartServer("board", "rasp4b", {"qemu-aarch64", "cortex-a72"});
    Configure("Europe/Berlin", kNight);
  }

  // One night with everything that can happen in it. It begins at `before` (UTC), a few seconds before
  // 22:00 in Berlin, and lasts `length`.
  void LiveThroughANight(const std::string& before, hours length);
};

void NightInMiniatureTest::LiveThroughANight(const std::string& before, hours length) {
  ShowTime(before);
  StartDaemon();
  // Two on one target, of which the later one is urgent, and one on the other.
  const std::int64_t plain =
      Submit({"--workload", kPointwise, "--trials", "300", "--seed", "1"})["id"];
  const std::int64_t urgent =
      Submit({"--workload", kOther, "--trials", "60", "--priority", "5"})["id"];
  const std::int64_t board =
      Submit({"--workload", kPointwise, "--target", "rasp4b", "--trials", "60"})["id"];
  for (const std::int64_t id : {plain, urgent, board}) {
    const nlohmann::json job = JobOf(id);
    EXPECT_EQ(job["reason"], "window");
    EXPECT_THAT(Why(job), ContainsRegex("window night opens Sat 22:00 CES?T"));
  }

  LetPass(seconds(30));  // it opens
  ASSERT_TRUE(EventuallyMade(urgent, 5));
  EXPECT_EQ(TrialsOf(plain), 0);
  EXPECT_THAT(Why(JobOf(plain)), HasSubstr("job " + std::to_string(urgent) + " "));
  ASSERT_TRUE(EventuallyMade(board, 2)) << Why(JobOf(board));

  // Everything dies, one after the other, and comes back.
  daemon_->Signal(SIGKILL);
  daemon_->Wait();
  StartDaemon();
  ASSERT_TRUE(EventuallyIn(urgent, "done")) << Why(JobOf(urgent));
  ASSERT_TRUE(EventuallyMade(plain, 10)) << Why(JobOf(plain));
  servers_["real"]->Signal(SIGKILL);
  servers_["real"]->Wait();
  servers_["real"] = std::make_unique<RunningProgram>(scratch_, server_commands_["real"]);
  ASSERT_TRUE(EventuallyMade(plain, TrialsOf(plain) + 10)) << Why(JobOf(plain));
  tracker_->Signal(SIGKILL);
  tracker_->Wait();
  StartTracker(address_, {"--lease-ttl", "2"});
  ASSERT_TRUE(EventuallyMade(plain, TrialsOf(plain) + 10)) << Why(JobOf(plain));

  // Somebody sets the clock, within the night.
  SetClock(hours(2));
  ASSERT_TRUE(EventuallyMade(plain, TrialsOf(plain) + 5)) << Why(JobOf(plain));
  SetClock(-hours(2));

  // A minute before six, then six.
  LetPass(length - minutes(1) - seconds(30));
  EXPECT_NE(StateOf(plain), "paused");
  const std::int64_t stored_before = TrialsOf(plain);
  LetPass(minutes(1));
  ASSERT_TRUE(EventuallyIn(plain, "paused")) << Why(JobOf(plain));
  EXPECT_THAT(Why(JobOf(plain)), ContainsRegex("window night opens Sun 22:00 CES?T"));
  EXPECT_GE(TrialsOf(plain), stored_before);
  ASSERT_TRUE(
      daemon_->WaitUntil([&] { return StateOf(board) == "paused" || StateOf(board) == "done"; }));

  // The day: nothing is measured.
  const std::size_t at_dawn = ReadTrials(scratch_.database()).size();
  LetPass(hours(10));
  EXPECT_EQ(StateOf(plain), "paused");
  EXPECT_EQ(ReadTrials(scratch_.database()).size(), at_dawn);

  // The next night goes on and finishes.
  LetPass(hours(6));
  ASSERT_TRUE(EventuallyIn(plain, "done")) << Why(JobOf(plain));
  ASSERT_TRUE(EventuallyIn(board, "done")) << Why(JobOf(board));

  // Every trial is kept, and none was made twice.
  const std::vector<StoredTrial> trials = ReadTrials(scratch_.database());
  EXPECT_EQ(trials.size(), 300u + 60u + 60u);
  EXPECT_TRUE(AreDistinctAndInOrder(trials));
  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  daemon_->Signal(SIGTERM);
  EXPECT_EQ(daemon_->Wait().status, 0);
}

// The night of 24 to 25 October 2026 has nine hours from 22:00 to 06:00 in Berlin.
TEST_F(NightInMiniatureTest, OfNineHours) { LiveThroughANight("2026-10-24T19:59:55Z", hours(9)); }

// That of 28 to 29 March 2026 has seven.
TEST_F(NightInMiniatureTest, OfSevenHours) { LiveThroughANight("2026-03-28T20:59:55Z", hours(7)); }

// ---- a farm without devices

class NightOfAnEmptyFarmTest : public NightTest {};

TEST_F(NightOfAnEmptyFarmTest, JobWhoseDeviceIsAwaySaysSoAndRunsOnceItIsThere) {
  ShowTime("2026-11-27T12:00:00Z");
  StartTracker();
  Configure("UTC", kNight);
  StartDaemon();
  const auto job = Submit({"--workload", kDense, "--trials", "2", "--window", "any"});
  EXPECT_TRUE(daemon_->WaitUntil([&] {
    return Why(JobOf(job["id"])).find(" device: 0 registered") != std::string::npos;
  })) << Why(JobOf(job["id"]));
  const Outcome jobs = ExpectKiln(0, ToDaemon({"jobs"}));
  EXPECT_THAT(jobs.out, HasSubstr("waiting for a "));
  StartServer("late", "native");
  EXPECT_TRUE(EventuallyIn(job["id"], "done")) << Why(JobOf(job["id"]));
}

// ---- on this machine, without a farm

class NightHereTest : public NightTest {
 protected:
  void SetUp() override {
    ShowTime("2026-11-27T12:00:00Z");
    Configure("UTC", kNight);
  }
};

TEST_F(NightHereTest, JobsSayInOneLineWhyTheyWaitAndWhatToDo) {
  Configure("UTC", std::string(kNight) +
                       "[[window]]\nname = \"never\"\nfrom = \"22:00\"\nto = \"22:00\"\n");
  StartDaemon();
  const std::vector<std::string> job = {"--workload", kDense, "--trials", "4"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), job.begin(), job.end());
    return Submit(more);
  };
  EXPECT_EQ(Why(with({"--window", "never"})), "window never never opens: 22:00-22:00 is empty");
  EXPECT_THAT(Why(with({"--window", "night"})), HasSubstr("window night opens Fri 22:00 UTC"));
  EXPECT_THAT(Why(with({"--window", "any", "--target", "rasp9"})), HasSubstr("rasp9"));
  const Outcome table = ExpectKiln(0, ToDaemon({"jobs", "--all"}));
  EXPECT_THAT(table.out, HasSubstr("window never never opens"));
  EXPECT_THAT(table.out, HasSubstr("no target named \"rasp9\""));
  EXPECT_THAT(table.out, HasSubstr("window night: opens Fri 22:00"));
  // Why, and when it will be done.
  const Outcome one = ExpectKiln(0, ToDaemon({"job", "2"}));
  EXPECT_THAT(one.out, ContainsRegex("why +window night opens"));
  EXPECT_THAT(one.out, ContainsRegex("done by +"));
}

TEST_F(NightHereTest, ModelThatChangedSinceItWasSubmittedFailsItsJob) {
  StartDaemon();
  const std::string table = "name,h,w,ic,oc,kh,kw,stride,pad,groups,act\n";
  const std::string layers = scratch_.Write("layers.csv", table + "dw,14,14,24,24,3,3,1,1,24,lo\n");
  const auto changed = Submit({"--layers", layers, "--trials", "4", "--window", "night"});
  ASSERT_EQ(changed["state"], "queued") << changed;
  scratch_.Write("layers.csv", table + "dw,7,7,24,24,3,3,1,1,24,lo\n");
  LetPass(hours(10) + seconds(5));
  ASSERT_TRUE(EventuallyIn(changed["id"], "failed"));
  EXPECT_EQ(JobOf(changed["id"])["reason"], "model");
  EXPECT_THAT(Why(JobOf(changed["id"])), HasSubstr("has changed since the job was submitted"));
  const auto gone = Submit({"--layers", layers, "--trials", "4", "--window", "night", "--after",
                            std::to_string(changed["id"].get<int>())});
  std::remove(layers.c_str());
  EXPECT_THAT(Why(gone), HasSubstr("comes after job 1, which ended as failed"));
  const auto missing = Submit({"--workload", kDense, "--trials", "2"});
  ASSERT_TRUE(EventuallyIn(missing["id"], "done")) << Why(JobOf(missing["id"]));
}

TEST_F(NightHereTest, CommandAtTheEndIsGivenTheJob) {
  const std::string program =
      scratch_.Write("tell", "#!/bin/sh\ncat >> " + scratch_.Path("told") + "\n");
  ASSERT_EQ(chmod(program.c_str(), 0700), 0);
  Configure("UTC", std::string(kNight) + "[end]\ncommand = [\"" + program + "\"]\n");
  StartDaemon();
  const auto job = Submit({"--workload", kDense, "--trials", "4", "--window", "any"});
  const auto cancelled = Submit({"--workload", kDense, "--trials", "4", "--window", "night"});
  ExpectKiln(0, ToDaemon({"cancel", std::to_string(cancelled["id"].get<int>())}));
  const auto told = [&] {
    std::ifstream file(scratch_.Path("told"));
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  ASSERT_TRUE(daemon_->WaitUntil([&] { return std::ranges::count(told(), '\n') == 2; }));
  std::map<int, std::string> states;
  for (const auto& line : JsonLines(told())) states[line["id"]] = line["state"];
  EXPECT_EQ(states,
            (std::map<int, std::string>{{job["id"], "done"}, {cancelled["id"], "cancelled"}}));
}

// A daemon that is killed beside it runs it again: a command may be run twice, but none is lost.
TEST_F(NightHereTest, CommandThatDiedWithItsDaemonIsRunByTheNextOne) {
  const std::string told = scratch_.Path("told");
  const std::string program = scratch_.Write(
      "tell", "#!/bin/sh\nif [ -e " + scratch_.Path("first") + " ]; then cat /dev/stdin > " + told +
                  "; else touch " + scratch_.Path("first") + "; exec sleep 1000; fi\n");
  ASSERT_EQ(chmod(program.c_str(), 0700), 0);
  Configure("UTC", std::string(kNight) + "[end]\ncommand = [\"" + program + "\"]\n");
  StartDaemon();
  const auto job = Submit({"--workload", kDense, "--trials", "4", "--window", "night"});
  ExpectKiln(0, ToDaemon({"cancel", std::to_string(job["id"].get<int>())}));
  ASSERT_TRUE(
      daemon_->WaitUntil([&] { return access(scratch_.Path("first").c_str(), F_OK) == 0; }));
  daemon_->Signal(SIGKILL);
  daemon_->Wait();
  EXPECT_NE(access(told.c_str(), F_OK), 0);
  const auto lines = [&] {
    std::ifstream file(told);
    return JsonLines(std::string(std::istreambuf_iterator<char>(file), {}));
  };
  StartDaemon();
  ASSERT_TRUE(daemon_->WaitUntil([&] { return lines().size() == 1; }));
  EXPECT_EQ(lines()[0]["id"], job["id"]);
  EXPECT_EQ(lines()[0]["state"], "cancelled");
}

TEST_F(NightHereTest, WhatCannotBeTunedIsRefusedInTheEvening) {
  StartDaemon();
  for (const auto& [option, value] :
       {std::pair<std::string, std::string>{"--network", "mobilenet_v9"},
        {"--layers", scratch_.Write("bad.csv", "name,h\nx,1\n")},
        {"--model", scratch_.Write("m.tflite", "no model")}}) {
    const Outcome refused = Kiln(ToDaemon({"submit", option, value, "--window", "night"}));
    EXPECT_EQ(refused.status, 1) << option;
    EXPECT_TRUE(IsOneLine(refused.err)) << refused.err;
  }
  const Outcome name = Kiln(ToDaemon({"submit", "--workload", kDense, "--name", "caf\xe9"}));
  EXPECT_EQ(name.status, 1);
  EXPECT_THAT(name.err, HasSubstr("is no UTF-8 text"));
  EXPECT_TRUE(IsOneLine(name.err)) << name.err;
}

// Another program holds the write lock for longer than a tick: clients are answered all the same.
TEST_F(NightHereTest, LockedDatabaseHoldsUpNoClientAndLosesNoSubmission) {
  StartDaemon();
  Submit({"--workload", kDense, "--trials", "4", "--window", "night"});
  auto lock = std::make_unique<WriteLock>(scratch_.database());
  RunningProgram submit(scratch_, ToDaemon({"kiln", "submit", "--workload", kPointwise, "--trials",
                                            "4", "--window", "night", "--json"}));
  const Outcome jobs = ExpectKiln(0, ToDaemon({"jobs", "--json"}));
  EXPECT_EQ(JsonLines(jobs.out).size(), 1u);
  lock.reset();
  EXPECT_EQ(submit.Wait().status, 0);
  EXPECT_EQ(JsonLines(ExpectKiln(0, ToDaemon({"jobs", "--json"})).out).size(), 2u);
}

TEST_F(NightHereTest, SocketIsForWhomTheConfigurationSays) {
  const auto mode = [&] {
    struct stat status {};
    EXPECT_EQ(stat(scratch_.Path("daemon.sock").c_str(), &status), 0);
    return status.st_mode & 0777;
  };
  StartDaemon();
  EXPECT_EQ(mode(), 0600u);
  daemon_->Signal(SIGTERM);
  EXPECT_EQ(daemon_->Wait().status, 0);
  Configure("UTC", std::string(kNight), "socket_mode = \"0666\"\n");
  StartDaemon();
  EXPECT_EQ(mode(), 0666u);
}

TEST_F(NightHereTest, SubmittingAgainIsTheSameJob) {
  StartDaemon();
  const std::vector<std::string> job = {"--workload", kDense, "--trials", "4", "--uuid", "u-1"};
  EXPECT_EQ(Submit(job)["id"], Submit(job)["id"]);
  // Also when what it asked for could not be asked for any more.
  const std::vector<std::string> timed = {
      "--workload", kDense,   "--trials", "4",          "--window",
      "night",      "--uuid", "u-2",      "--deadline", "2026-11-27T12:30:00Z"};
  const auto first = Submit(timed);
  LetPass(hours(1));
  EXPECT_EQ(Submit(timed)["id"], first["id"]);
  const Outcome other =
      Kiln(ToDaemon({"submit", "--workload", kPointwise, "--trials", "4", "--uuid", "u-1"}));
  EXPECT_EQ(other.status, 1);
  EXPECT_TRUE(IsOneLine(other.err)) << other.err;
}

TEST_F(NightHereTest, NetworksOfOneJobShareItsBudgetUntilTheDeadline) {
  StartDaemon();
  // No limit of trials: the deadline ends it, with all three tuned.
  const auto job =
      Submit({"--workload", kDense, kPointwise, kOther, "--window", "any", "--deadline", "12:02"});
  ASSERT_TRUE(EventuallyMade(job["id"], 30)) << Why(JobOf(job["id"]));
  LetPass(minutes(2));
  ASSERT_TRUE(EventuallyIn(job["id"], "done")) << Why(JobOf(job["id"]));
  EXPECT_EQ(JobOf(job["id"])["reason"], "deadline");
  std::set<std::int64_t> tasks;
  for (const StoredTrial& trial : ReadTrials(scratch_.database())) tasks.insert(trial.task_id);
  EXPECT_EQ(tasks.size(), 3u);
}

TEST_F(NightHereTest, WhatRunsComesFirstHoweverManyWait) {
  StartDaemon();
  const auto running = Submit({"--workload", kPointwise, "--window", "any"});
  ASSERT_TRUE(EventuallyMade(running["id"], 1));
  for (int i = 0; i < 3; ++i) Submit({"--workload", kDense, "--window", "any"});
  const Outcome two = ExpectKiln(0, ToDaemon({"jobs", "--limit", "2", "--json"}));
  const auto shown = JsonLines(two.out);
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[0]["id"], running["id"]);
  EXPECT_THAT(ExpectKiln(0, ToDaemon({"jobs", "--limit", "2"})).out,
              HasSubstr("2 more that wait: --limit shows them"));
}

TEST_F(NightHereTest, PauseResumeAndCancelByHand) {
  StartDaemon();
  const auto job = Submit({"--workload", kPointwise, "--trials", "2000", "--window", "any"});
  const std::string id = std::to_string(job["id"].get<int>());
  ASSERT_TRUE(EventuallyMade(job["id"], 3));
  ExpectKiln(0, ToDaemon({"pause", id}));
  ASSERT_TRUE(EventuallyIn(job["id"], "paused"));
  EXPECT_EQ(static_cast<std::int64_t>(ReadTrials(scratch_.database()).size()), TrialsOf(job["id"]));
  ExpectKiln(0, ToDaemon({"resume", id}));
  ASSERT_TRUE(EventuallyMade(job["id"], TrialsOf(job["id"]) + 3));
  ExpectKiln(0, ToDaemon({"cancel", "--now", id}));
  ASSERT_TRUE(EventuallyIn(job["id"], "cancelled"));
  const Outcome again = Kiln(ToDaemon({"resume", id}));
  EXPECT_EQ(again.status, 1);
  EXPECT_TRUE(IsOneLine(again.err)) << again.err;
}

TEST_F(NightHereTest, SecondDaemonOfTheSameNameIsRefused) {
  StartDaemon();
  const Outcome second = Kiln({"daemon", "--config", scratch_.Path("night.toml")});
  EXPECT_EQ(second.status, 1);
  EXPECT_THAT(second.err, HasSubstr("a daemon named owl runs on this database already"));
}

TEST_F(NightHereTest, ConfigurationIsCheckedAndReadAgain) {
  const Outcome good =
      ExpectKiln(0, {"daemon", "--check-config", "--config", scratch_.Path("night.toml")});
  EXPECT_THAT(good.out, HasSubstr("night.toml: good"));
  EXPECT_THAT(good.out, HasSubstr("window night:"));
  const std::string bad =
      scratch_.Write("bad.toml", "[[window]]\nname = \"x\"\nform = \"22:00\"\n");
  const Outcome refused = ExpectKiln(2, {"daemon", "--check-config", "--config", bad});
  EXPECT_TRUE(IsOneLine(refused.err)) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("bad.toml:3: "));

  StartDaemon();
  const auto job = Submit({"--workload", kDense, "--trials", "4", "--window", "night"});
  Configure("UTC", "[[window]]\nname = \"night\"\nfrom = \"10:00\"\nto = \"14:00\"\n");
  daemon_->Signal(SIGHUP);
  EXPECT_TRUE(EventuallyIn(job["id"], "done")) << Why(JobOf(job["id"]));
  scratch_.Write("night.toml", "no = ");
  daemon_->Signal(SIGHUP);
  EXPECT_TRUE(daemon_->WaitUntil(
      [&] { return daemon_->err().find("stays as it was") != std::string::npos; }));
  EXPECT_EQ(StateOf(job["id"]), "done");
}

TEST_F(NightHereTest, MaintenanceBacksUpOnceADay) {
  const std::string backups = scratch_.Path("backups");
  mkdir(backups.c_str(), 0700);
  Configure("UTC", std::string(kNight) +
                       "[maintenance]\nat = \"13:00\"\nkeep_backups = 2\nbackup = \"" + backups +
                       "\"\n");
  StartDaemon();
  const auto file = [&](int day) {
    return backups + "/kiln-2026-11-" + std::to_string(day) + ".db";
  };
  LetPass(hours(1) + seconds(5));
  for (int day = 27; day < 30; ++day) {
    ASSERT_TRUE(daemon_->WaitUntil([&] { return access(file(day).c_str(), R_OK) == 0; })) << day;
    EXPECT_EQ(Integrity(file(day)), "ok");
    LetPass(hours(24));
  }
  EXPECT_TRUE(daemon_->WaitUntil([&] { return access(file(27).c_str(), R_OK) != 0; }));
}

TEST_F(NightHereTest, ServiceManagerHearsReadyWatchdogAndStopping) {
  const std::string path = scratch_.Path("notify");
  const int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  ASSERT_EQ(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const auto hear = [&] {
    char text[256] = "";
    const ssize_t size = recv(socket_fd, text, sizeof text - 1, 0);
    return std::string(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  };
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  setenv("WATCHDOG_USEC", "200000", 1);
  StartDaemon();
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  EXPECT_THAT(hear(), HasSubstr("READY=1"));
  EXPECT_EQ(hear(), "WATCHDOG=1");
  EXPECT_EQ(hear(), "WATCHDOG=1");
  daemon_->Signal(SIGTERM);
  std::string last;
  do {
    last = hear();
  } while (last == "WATCHDOG=1");
  EXPECT_EQ(last, "STOPPING=1");
  EXPECT_EQ(daemon_->Wait().status, 0);
  close(socket_fd);
}

TEST_F(NightHereTest, ClientsWithoutADaemonAreTold) {
  const Outcome outcome = ExpectKiln(1, ToDaemon({"jobs"}));
  EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("no daemon answers at unix:"));
}

}  // namespace
}  // namespace kiln
