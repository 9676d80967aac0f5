// `kiln tune` on a farm of real programs: kiln-tracker and two kiln-servers on loopback.

#include <gmock/gmock.h>

#include <csignal>
#include <limits>
#include <map>
#include <memory>

#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/integration/stored_trials.h"

namespace kiln {
namespace {

constexpr char kConv[] =
    "conv2d/i8/n1h14w14c32/o48/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
constexpr char kPointwise[] =
    "conv2d/i8/n1h14w14c64/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=none/rq=int9/double";

class FarmTuneTest : public KilnTest {
 protected:
  void SetUp() override {
    tracker_ = Start({"kiln-tracker", "--listen", "127.0.0.1:0", "--lease-ttl", lease_ttl_});
    address_ = tracker_->Address();
    for (const char* name : {"a", "b"}) {
      servers_[name] =
          Start({"kiln-server", "--tracker", address_, "--target", "native", "--name", name});
    }
    for (const auto& [name, server] : servers_) {
      ASSERT_TRUE(server->WaitUntil([&, name = name] { return StateOf(name) == "free"; }))
          << server->err();
    }
  }

  std::unique_ptr<RunningProgram> Start(const std::vector<std::string>& command) const {
    return std::make_unique<RunningProgram>(scratch_, command);
  }
  std::map<std::string, std::string> States() const {
    std::map<std::string, std::string> states;
    const Outcome outcome = Kiln({"devices", "--tracker", address_, "--json"});
    for (const auto& line : JsonLines(outcome.out)) states[line["name"]] = line["state"];
    return states;
  }
  std::string StateOf(const std::string& name) const { return States()[name]; }
  std::vector<std::string> TuneCommand(int trials_per_task) const {
    return {"kiln",
            "tune",
            "--tracker",
            address_,
            "--trials-per-task",
            std::to_string(trials_per_task),
            "--json",
            "--workload",
            kConv,
            kPointwise};
  }

  std::size_t Trials() const { return ReadTrials(scratch_.database()).size(); }
  // Waits until so many trials are stored, or its end, for as long as further ones come: how long one
  // takes is the machine's affair, which may have little time for compilers that run at low priority.
  bool AwaitTrials(const RunningProgram& tuner, std::size_t count) const {
    std::size_t made = 0;
    while (made < count && tuner.WaitUntil([&] { return Trials() > made; })) made = Trials();
    return made >= count;
  }
  Outcome AwaitEnd(RunningProgram& tuner) const {
    AwaitTrials(tuner, std::numeric_limits<std::size_t>::max());
    return tuner.Wait();
  }

  std::string lease_ttl_ = "10";  // seconds
  std::unique_ptr<RunningProgram> tracker_;
  std::string address_;
  std::map<std::string, std::unique_ptr<RunningProgram>> servers_;
};

// Where no lease ends by itself while a test waits.
class LongLeaseFarmTuneTest : public FarmTuneTest {
 protected:
  LongLeaseFarmTuneTest() { lease_ttl_ = "600"; }
};

TEST_F(LongLeaseFarmTuneTest, TuningUsesBothDevicesAndGivesThemBack) {
  RunningProgram tuner(scratch_, TuneCommand(24));
  const Outcome outcome = AwaitEnd(tuner);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(Trials(), 48u);
  std::map<std::string, int> devices;
  for (const char* key : {kConv, kPointwise}) {
    for (const auto& line :
         JsonLines(ExpectKiln(0, {"history", "--workload", key, "--json"}).out)) {
      ++devices[line["device"]];
    }
  }
  EXPECT_EQ(devices.size(), 2u);
  EXPECT_TRUE(tracker_->WaitUntil([&] {
    return States() == std::map<std::string, std::string>{{"a", "free"}, {"b", "free"}};
  }));
}

TEST_F(FarmTuneTest, KilledServerDoesNotEndTheTuning) {
  constexpr int kTrials = 40;
  RunningProgram tuner(scratch_, TuneCommand(kTrials));
  ASSERT_TRUE(AwaitTrials(tuner, 16)) << tuner.err();
  servers_["a"]->Signal(SIGKILL);
  EXPECT_EQ(servers_["a"]->Wait().status, -SIGKILL);
  const Outcome outcome = AwaitEnd(tuner);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  for (const auto& line : JsonLines(outcome.out)) {
    if (!line.contains("trials")) continue;
    EXPECT_EQ(line["trials"], kTrials) << line;
    EXPECT_EQ(line["failed"], 0)
        << "a lost device says nothing of a config: " << line << "\n"
        << ExpectKiln(0, {"history", "--workload", line["workload"], "--json"}).out;
  }
  const auto stored = ReadTrials(scratch_.database());
  EXPECT_EQ(stored.size(), 2u * kTrials);
  EXPECT_TRUE(AreDistinctAndInOrder(stored));
  EXPECT_TRUE(tracker_->WaitUntil([&] {
    return States() == std::map<std::string, std::string>{{"a", "lost"}, {"b", "free"}};
  }));
}

TEST_F(FarmTuneTest, KilledTunersDevicesComeFree) {
  RunningProgram tuner(scratch_, TuneCommand(100'000));
  ASSERT_TRUE(AwaitTrials(tuner, 8)) << tuner.err();
  tuner.SignalGroup(SIGKILL);
  EXPECT_EQ(tuner.Wait().status, -SIGKILL);
  EXPECT_TRUE(tracker_->WaitUntil([&] {
    return States() == std::map<std::string, std::string>{{"a", "free"}, {"b", "free"}};
  }));
  RunningProgram next(scratch_, TuneCommand(16));
  const Outcome outcome = AwaitEnd(next);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

}  // namespace
}  // namespace kiln
