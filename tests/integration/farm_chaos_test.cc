// A farm over mutual TLS whose programs are killed and stopped at random, by a plan that a seed gives:
// tracker, two device servers of this machine, ten simulated ones (benchmarks/farm_load: they speak the
// real protocol, measure made-up times and answer the digests that are expected), two tuners on one
// database. $KILN_CHAOS_SEED and $KILN_CHAOS_SECONDS choose another plan; scripts/chaos runs several.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "ops/target.h"
#include "rpc_tracker/event_check.h"
#include "tests/integration/chaos_plan.h"
#include "tests/integration/chaos_victim.h"
#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/integration/quiet_port.h"
#include "tests/integration/stored_trials.h"
#include "tests/proto/test_farm.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;

constexpr int kServers = 2, kSimulated = 10;
constexpr char kTtl[] = "3";
// Of the trials that are left when the chaos is over, devices in quarantine included.
constexpr seconds kTuning{600};
// An orphan sees that its parent has gone.
constexpr seconds kSoon{12};
// What is asked for in addition whenever a tuner has made all of its trials.
constexpr int kMoreTrials = 32;

// More configs than any test's time is enough for; each client has its own.
const Words kWorkloads[] = {
    {"conv2d/i8/n1h14w14c32/o48/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double",
     "conv2d/i8/n1h14w14c64/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=none/rq=int9/double"},
    {"conv2d/i8/n1h7w7c64/o64/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double",
     "conv2d/i8/n1h28w28c32/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=int7/double"},
};

std::uint64_t FromEnvironment(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class FarmChaosTest : public KilnTest {
 protected:
  struct Client {
    std::string name;
    Words workloads;
    int trials_per_task = kMoreTrials;
  };

  void SetUp() override {
    ASSERT_TRUE(AdoptOrphans());
    const auto target = DetectNative();
    ASSERT_TRUE(target.ok()) << target.status();
    target_ = *target;
    address_ = "127.0.0.1:" + std::to_string(QuietPort());
    std::string devices;
    for (int i = 1; i <= kServers; ++i) devices += ServerName(i) + ",";
    for (int i = 1; i <= kSimulated; ++i) devices += SimulatedName(i) + "0001,";
    devices.pop_back();
    farm_.Make("farm --tracker localhost --device " + devices + " --client ann,bob,load");
    std::filesystem::create_directory(scratch_.Path("state"));
    StartAll();
  }

  // ---- the programs

  static std::string ServerName(int i) { return "real-" + std::to_string(i); }
  // Whose only device is called so, and 0001.
  static std::string SimulatedName(int i) { return "simulated-" + std::to_string(i) + "-"; }

  Words Credentials(const std::string& name) const {
    return {"--ca",  farm_.File("ca.crt"),     "--cert", farm_.File(name + ".crt"),
            "--key", farm_.File(name + ".key")};
  }
  static Words Plus(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Words TrackerCommand() const {
    return Plus({"kiln-tracker", "--listen", address_, "--lease-ttl", kTtl, "--state",
                 scratch_.Path("state"), "--event-log", scratch_.Path("events"), "--crl",
                 farm_.File("crl.pem")},
                Credentials("tracker"));
  }
  Words ServerCommand(int i) const {
    return Plus({"kiln-server", "--tracker", address_, "--target", "native", "--crl",
                 farm_.File("crl.pem")},
                Credentials(ServerName(i)));
  }
  // `seed`: another for each start, since it makes the device's instance.
  Words SimulatedCommand(int i, int seed) const {
    Words command = {"benchmarks/benchmark_farm_load",
                     "devices",
                     "--tracker",
                     address_,
                     "--certs",
                     farm_.place().path().string(),
                     "--devices",
                     "1",
                     "--prefix",
                     SimulatedName(i),
                     "--target",
                     target_.name,
                     "--trial-ms",
                     "100",
                     "--seed",
                     std::to_string(seed)};
    for (const std::string& name : Names(target_.isa)) command = Plus(command, {"--isa", name});
    return command;
  }
  Words TuneCommand(const Client& client) const {
    return Plus(Plus({"kiln", "tune", "--tracker", address_, "--json", "--batch", "8",
                      "--trials-per-task", std::to_string(client.trials_per_task), "--workload"},
                     client.workloads),
                Credentials(client.name));
  }

  // From then on it is struck.
  void Add(const std::string& kind, int weight, const std::string& name,
           const std::function<Words()>& command, std::function<void(const Outcome&)> ended) {
    targets_.push_back({kind, weight});
    victims_.push_back(std::make_unique<ChaosVictim>(
        name, [=, this] { return std::make_unique<RunningProgram>(scratch_, command()); },
        std::move(ended)));
  }
  void StartAll() {
    const auto never = [](const std::string& name) {
      return [name](const Outcome& outcome) {
        ADD_FAILURE() << name << " has ended with " << outcome.status << "\n" << outcome.err;
      };
    };
    Add(
        "tracker", 12, "tracker", [this] { return TrackerCommand(); }, never("tracker"));
    EXPECT_EQ(victims_[0]->program().Address(), address_);
    for (int i = 1; i <= kServers; ++i) {
      Add(
          "server", 10, ServerName(i), [=, this] { return ServerCommand(i); },
          never(ServerName(i)));
    }
    for (int i = 1; i <= kSimulated; ++i) {
      auto starts = std::make_shared<int>(0);
      Add(
          "simulated", 3, SimulatedName(i),
          [=, this] { return SimulatedCommand(i, 1000 * i + ++*starts); }, never(SimulatedName(i)));
    }
    ASSERT_TRUE(DevicesComeBack());
    clients_ = {{"ann", kWorkloads[0]}, {"bob", kWorkloads[1]}};
    for (Client& client : clients_) {
      Add(
          "client", 8, client.name, [this, &client] { return TuneCommand(client); },
          [this, &client](const Outcome& outcome) { EndedByItself(client, outcome); });
    }
  }
  std::vector<ChaosVictim*> Victims() const {
    std::vector<ChaosVictim*> all;
    for (const auto& victim : victims_) all.push_back(victim.get());
    return all;
  }
  ChaosVictim& Tuner(std::size_t client) const {
    return *victims_[1 + kServers + kSimulated + client];
  }

  // A tuner that has made its trials makes more. One that is started while there is no tracker says so.
  void EndedByItself(Client& client, const Outcome& outcome) {
    NoteEnd(client, outcome);
    if (outcome.status != 0) return;
    client.trials_per_task += kMoreTrials;
    ++finished_;
  }
  void NoteEnd(const Client& client, const Outcome& outcome) {
    if (outcome.status == 0) return;
    EXPECT_EQ(outcome.status, 1) << client.name << ": " << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("is kiln-tracker running there?")) << client.name;
    ++without_tracker_;
  }

  // ---- what the farm says

  std::map<std::string, std::string> States() const {
    std::map<std::string, std::string> states;
    const Outcome outcome =
        Kiln(Plus({"devices", "--json", "--tracker", address_}, Credentials("ann")));
    if (outcome.status != 0) return states;
    for (const auto& line : JsonLines(outcome.out)) states[line["name"]] = line["state"];
    return states;
  }
  bool DevicesComeBack() const {
    return victims_[0]->program().WaitUntil([this] {
      std::size_t here = 0;
      for (const auto& [name, state] : States()) here += state != "lost";
      return here == kServers + kSimulated;
    });
  }
  std::map<LeaseEventKind, int> LeaseEvents() const {
    std::map<LeaseEventKind, int> counts;
    std::ifstream log(scratch_.Path("events"));
    for (std::string line; std::getline(log, line);) {
      const auto event = ParseLeaseEvent(line);
      if (event.ok()) ++counts[event->kind];
    }
    return counts;
  }
  std::size_t TrialsOnServers() const {
    std::size_t count = 0;
    for (const Words& workloads : kWorkloads) {
      for (const std::string& key : workloads) {
        for (const auto& trial :
             JsonLines(ExpectKiln(0, {"history", "--workload", key, "--json"}).out)) {
          count += trial["device"].get<std::string>().starts_with("real-");
        }
      }
    }
    return count;
  }

  // ---- the chaos

  void Strike(const std::vector<ChaosEvent>& events, seconds time) {
    const Clock::time_point begin = Clock::now();
    for (auto next = events.begin(); Clock::now() < begin + time;) {
      const Clock::time_point now = Clock::now();
      for (; next != events.end() && now >= begin + next->at; ++next) {
        if (!victims_[next->target]->Strike(*next, now)) continue;
        ++struck_[targets_[next->target].kind + " " + Name(next->blow)][Name(next->reach)];
        ++strikes_;
        KeepForInspection("strikes.log", Describe(*next));
      }
      for (const auto& victim : victims_) victim->Tend(now);
      poll(nullptr, 0, 10);
    }
  }
  // With the time of the day as the event log has it.
  std::string Describe(const ChaosEvent& event) const {
    const auto time = std::chrono::system_clock::now().time_since_epoch();
    std::ostringstream line;
    line << std::chrono::duration_cast<milliseconds>(time).count() << " "
         << victims_[event.target]->name() << " " << Name(event.blow) << " " << Name(event.reach)
         << " for " << event.pause.count() << " ms\n";
    return line.str();
  }
  void Heal() {
    for (const auto& victim : victims_) victim->Heal();
  }
  void Report(std::uint64_t seed, seconds time, Clock::duration healed) const {
    std::printf("chaos seed %llu, %lld s: %d events", static_cast<unsigned long long>(seed),
                static_cast<long long>(time.count()), strikes_);
    for (const auto& [what, reaches] : struck_) {
      std::printf("; %s", what.c_str());
      for (const auto& [reach, count] : reaches) std::printf(" %d %s", count, reach.c_str());
    }
    std::printf(
        "\nchaos seed %llu: %zu trials, %zu of them on real devices; %d tunings ended meanwhile, "
        "%d found "
        "no tracker; devices back after %lld ms\nchaos seed %llu: leases",
        static_cast<unsigned long long>(seed), ReadTrials(scratch_.database()).size(),
        TrialsOnServers(), finished_, without_tracker_,
        static_cast<long long>(std::chrono::duration_cast<milliseconds>(healed).count()),
        static_cast<unsigned long long>(seed));
    const auto events = LeaseEvents();
    for (const auto kind :
         {LeaseEventKind::kGranted, LeaseEventKind::kAdopted, LeaseEventKind::kReleased,
          LeaseEventKind::kExpired, LeaseEventKind::kRevoked, LeaseEventKind::kQuarantined}) {
      const auto found = events.find(kind);
      std::printf(" %d %s", found == events.end() ? 0 : found->second, Name(kind));
    }
    std::printf("\n");
    std::fflush(stdout);
  }

  // ---- what must hold

  void ExpectEveryTrialOnce() const {
    const auto stored = ReadTrials(scratch_.database());
    EXPECT_TRUE(AreDistinctAndInOrder(stored));
    EXPECT_EQ(Integrity(scratch_.database()), "ok");
    std::size_t wanted = 0;
    for (const Client& client : clients_) {
      wanted += client.workloads.size() * static_cast<std::size_t>(client.trials_per_task);
    }
    EXPECT_EQ(stored.size(), wanted);
    std::map<std::string, int> failed;
    for (const StoredTrial& trial : stored) {
      if (trial.status != "ok" && trial.status != "censored") ++failed[trial.status];
    }
    EXPECT_THAT(failed, IsEmpty()) << "what happens to programs says nothing of a config";
  }
  void ExpectTuned(const Client& client, const Outcome& outcome) const {
    EXPECT_EQ(outcome.status, 0) << client.name << ": " << outcome.err;
    for (const auto& line : JsonLines(outcome.out)) {
      if (!line.contains("trials")) continue;  // the one that sums up
      EXPECT_EQ(line["trials"], client.trials_per_task) << line;
    }
  }
  void ExpectNoLeaseHeldTwice() const {
    std::ifstream log(scratch_.Path("events"));
    const Status held = CheckEventLog(log);
    EXPECT_TRUE(held.ok()) << "a device was held by two: " << held;
  }
  void ExpectCoresAreFree() const {
    int cores = 0;
    for (const auto& file : std::filesystem::directory_iterator(scratch_.Path("core-locks"))) {
      const int lock = open(file.path().c_str(), O_RDWR | O_CLOEXEC);
      EXPECT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0) << file.path() << " is held";
      close(lock);
      ++cores;
    }
    EXPECT_GT(cores, 0);
  }
  static std::string Listed(const std::vector<Process>& processes) {
    std::ostringstream text;
    for (const Process& process : processes) text << process.pid << " " << process.name << "\n";
    return text.str();
  }

  TestFarm farm_;
  Target target_;
  std::string address_;
  std::vector<Client> clients_;
  std::vector<ChaosTarget> targets_;
  std::vector<std::unique_ptr<ChaosVictim>> victims_;  // in the order of targets_
  std::map<std::string, std::map<std::string, int>> struck_;
  int strikes_ = 0, finished_ = 0, without_tracker_ = 0;
};

TEST_F(FarmChaosTest, WhateverIsKilledOrStoppedEveryTrialIsMadeOnceAndNoLeaseHeldTwice) {
  const std::uint64_t seed = FromEnvironment("KILN_CHAOS_SEED", 1);
  const seconds time(FromEnvironment("KILN_CHAOS_SECONDS", 60));
  std::printf("chaos seed %llu\n", static_cast<unsigned long long>(seed));
  Strike(PlanChaos(seed, time, targets_), time);

  Heal();
  const Clock::time_point begin = Clock::now();
  EXPECT_TRUE(DevicesComeBack());
  const Clock::duration healed = Clock::now() - begin;
  EXPECT_EQ(Listed(AwaitEndOfOrphans(Victims(), kSoon)), "") << "orphans run on";

  // Those that were started while there was no tracker may have given up; nobody may once there is one.
  for (std::size_t i = 0; i < clients_.size(); ++i) NoteEnd(clients_[i], Tuner(i).Wait(kTuning));
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    Tuner(i).Start();
    ExpectTuned(clients_[i], Tuner(i).Wait(kTuning));
  }
  Report(seed, time, healed);
  ExpectEveryTrialOnce();

  for (const auto& victim : victims_) {
    if (victim->runs()) victim->program().Signal(SIGTERM);
  }
  for (const auto& victim : victims_) {
    if (!victim->runs()) continue;
    const Outcome outcome = victim->Wait(kPatience);
    EXPECT_EQ(outcome.status, 0) << victim->name() << ": " << outcome.out << outcome.err;
  }
  KeepForInspection("events",
                    (std::ostringstream() << std::ifstream(scratch_.Path("events")).rdbuf()).str());
  ExpectNoLeaseHeldTwice();
  ExpectCoresAreFree();
  EXPECT_TRUE(ReapOrphans(kSoon));
  EXPECT_EQ(Listed(ProcessesWith("KILN_DB=" + scratch_.database())), "") << "runs on";
}

}  // namespace
}  // namespace kiln
