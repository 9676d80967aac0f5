// kiln-tracker and kiln-server as a Prometheus server sees them.

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "ops/target.h"
#include "telemetry/metric_catalogue.h"
#include "tests/integration/farm_client.h"
#include "tests/integration/programs.h"
#include "tests/kernel_host/test_kernels.h"
#include "tests/telemetry/exposition.h"
#include "tests/telemetry/raw_client.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr char kSaid[] = "metrics on http://";

// How many TCP ports a process listens on.
std::size_t ListeningPorts(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid);
  std::set<std::string> sockets;  // "socket:[1234]"
  for (const auto& entry : std::filesystem::directory_iterator(directory + "/fd")) {
    std::error_code gone;
    sockets.insert(std::filesystem::read_symlink(entry.path(), gone).string());
  }
  std::set<std::string> ports;
  for (const std::string table : {"/net/tcp", "/net/tcp6"}) {
    std::ifstream lines(directory + table);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream fields(line);
      std::string number, local, remote, state, inode, skipped;
      fields >> number >> local >> remote >> state;
      for (int i = 0; i < 5; ++i) fields >> skipped;
      fields >> inode;
      if (state == "0A" && sockets.contains("socket:[" + inode + "]")) ports.insert(local);
    }
  }
  return ports.size();
}

class MetricsTest : public KilnTest {
 protected:
  using Program = std::unique_ptr<RunningProgram>;

  Program Start(std::vector<std::string> command, const std::vector<std::string>& more) {
    command.insert(command.end(), {"--listen", "127.0.0.1:0"});
    command.insert(command.end(), more.begin(), more.end());
    return std::make_unique<RunningProgram>(scratch_, command);
  }
  Program StartTracker(const std::vector<std::string>& more = {"--metrics", "127.0.0.1:0"}) {
    return Start({"kiln-tracker"}, more);
  }
  Program StartServer(const std::string& tracker,
                      const std::vector<std::string>& more = {"--metrics", "127.0.0.1:0"}) {
    return Start({"kiln-server", "--target", "native", "--name", "device-1", "--tracker", tracker},
                 more);
  }

  // Where a program's log says that its metrics are.
  static std::string MetricsAddress(const RunningProgram& program) {
    EXPECT_TRUE(program.WaitUntil([&] {
      const std::size_t at = program.err().find(kSaid);
      return at != std::string::npos && program.err().find('\n', at) != std::string::npos;
    })) << program.err();
    const std::string log = program.err();
    const std::size_t begin = log.find(kSaid) + sizeof kSaid - 1;
    return log.substr(begin, log.find("/metrics", begin) - begin);
  }

  static Scrape Look(const RunningProgram& program) {
    const std::string address = MetricsAddress(program);
    const std::string answer =
        Ask(address, "GET /metrics HTTP/1.1\r\nHost: " + address + "\r\n\r\n");
    EXPECT_EQ(StatusOf(answer), 200);
    const auto scrape = ParseExposition(BodyOf(answer));
    EXPECT_TRUE(scrape.ok()) << scrape.status();
    return scrape.value_or(Scrape());
  }

  static void ExpectFamilies(const Scrape& scrape, MetricSource source) {
    for (const MetricFamily& family : MetricCatalogue()) {
      EXPECT_EQ(scrape.contains(family.name), Exports(source, family)) << family.name;
    }
  }
};

TEST_F(MetricsTest, ProgramsSayAllThatTheCatalogueHasOfThem) {
  const Program tracker = StartTracker();
  const Program server = StartServer(tracker->Address());
  EXPECT_NE(server->Address(), "");
  ExpectFamilies(Look(*tracker), MetricSource::kTracker);
  ExpectFamilies(Look(*server), MetricSource::kServer);
  // Programs that start these read nothing else there.
  EXPECT_EQ(tracker->out(), "listening on " + tracker->Address() + "\n");
  EXPECT_EQ(server->out(), "listening on " + server->Address() + "\n");
}

TEST_F(MetricsTest, CountWhatIsMeasuredThroughThem) {
  SKIP_WITHOUT_TEST_KERNELS();
  const auto target = DetectNative();
  ASSERT_TRUE(target.ok()) << target.status();
  const std::string of_target = "target=\"" + target->name + "\"";
  const std::string good = "kiln_trials_total{kind=\"measured\",status=\"ok\"," + of_target + "}";
  const std::string wrong =
      "kiln_trials_total{kind=\"measured\",status=\"wrong_result\"," + of_target + "}";
  const std::string leased = "kiln_devices{health=\"good\",state=\"leased\"," + of_target + "}";
  const std::string released = "kiln_leases_total{outcome=\"released\"," + of_target + "}";
  const std::string busy = "kiln_device_busy_seconds_total{device=\"device-1\"}";

  const Program tracker = StartTracker();
  const Program server = StartServer(tracker->Address());
  const auto client = NewFarmClient(tracker->Address(), "test");
  ASSERT_TRUE(client->Acquire().ok());
  const Scrape before = Look(*server);
  EXPECT_EQ(ValueOf(before, good), 0);
  EXPECT_EQ(ValueOf(before, busy), 0);
  EXPECT_EQ(ValueOf(Look(*tracker), leased), 1);

  EXPECT_EQ(client->Run("good"), "ok");
  EXPECT_EQ(client->Run("good"), "ok");
  EXPECT_EQ(client->Run("wrong"), "WRONG_RESULT");
  const Scrape after = Look(*server);
  EXPECT_EQ(ValueOf(after, good), 2);
  EXPECT_EQ(ValueOf(after, wrong), 1);
  EXPECT_GT(ValueOf(after, busy), 0);
  EXPECT_GT(ValueOf(after, "kiln_device_last_trial_timestamp_seconds{device=\"device-1\"}"), 1.7e9);

  client->GiveBack();
  EXPECT_TRUE(tracker->WaitUntil([&] { return ValueOf(Look(*tracker), released) == 1; }));
  const Scrape farm = Look(*tracker);
  EXPECT_EQ(ValueOf(farm, leased), 0);
  EXPECT_GT(ValueOf(farm, busy), 0);
  EXPECT_EQ(ValueOf(farm, "kiln_lease_wait_seconds_count{" + of_target + "}"), 1);
  for (const Scrape& scrape : {after, farm}) {
    EXPECT_EQ(ValueOf(scrape, "kiln_scrape_errors_total"), 0);
    EXPECT_EQ(ValueOf(scrape, "kiln_series_refused_total"), 0);
  }
}

TEST_F(MetricsTest, DaemonCountsItsJobsTrialsAndFiles) {
  const std::string socket = "unix:" + scratch_.Path("daemon.sock");
  const std::string config = scratch_.Write(
      "night.toml", "[listen]\nmetrics = \"127.0.0.1:0\"\nsocket = \"" + socket +
                        "\"\n[[window]]\nname = \"always\"\nfrom = \"00:00\"\nto = \"24:00\"\n"
                        "[maintenance]\nbackup = \"" +
                        scratch_.Path("backups") + "\"\n");
  const RunningProgram daemon(scratch_, {"kiln", "daemon", "--config", config});
  ASSERT_NE(daemon.Address(), "");
  const Scrape before = Look(daemon);
  ExpectFamilies(before, MetricSource::kDaemon);
  EXPECT_EQ(ValueOf(before, "kiln_jobs{state=\"done\"}"), 0);
  EXPECT_EQ(ValueOf(before, "kiln_window_open{window=\"always\"}"), 1);
  EXPECT_EQ(ValueOf(before, "kiln_backup_last_success_timestamp_seconds"), 0);

  ExpectKiln(0, {"submit", "--daemon", socket, "--window", "always", "--trials", "6", "--workload",
                 "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double"});
  ASSERT_TRUE(
      daemon.WaitUntil([&] { return ValueOf(Look(daemon), "kiln_jobs{state=\"done\"}") == 1; }));
  const Scrape after = Look(daemon);
  EXPECT_EQ(ValueOf(after, "kiln_job_transitions_total{to=\"running\"}"), 1);
  EXPECT_EQ(ValueOf(after, "kiln_job_transitions_total{to=\"done\"}"), 1);
  double trials = 0, stored = 0;
  for (const auto& [series, value] : after.at("kiln_trials_total").series) trials += value;
  EXPECT_EQ(trials, 6);
  for (const auto& [series, value] : after.at("kiln_improvements_total").series) stored += value;
  EXPECT_GE(stored, 1);
  EXPECT_EQ(ValueOf(after, "kiln_store_append_seconds_count"), 6);
  EXPECT_GT(ValueOf(after, "kiln_trial_stage_seconds_count{stage=\"compile\"}"), 0);
  EXPECT_GT(ValueOf(after, "kiln_compile_queue_seconds_count"), 0);
  EXPECT_GT(ValueOf(after, "kiln_trial_stage_seconds_count{stage=\"run\"}"), 0);
  EXPECT_GT(ValueOf(after, "kiln_store_size_bytes"), 0);
  EXPECT_EQ(ValueOf(after, "kiln_scrape_errors_total"), 0);
  EXPECT_EQ(ValueOf(after, "kiln_series_refused_total"), 0);
}

TEST_F(MetricsTest, AreCountedBesideAnEventLog) {
  const std::string log = scratch_.Path("events.jsonl");
  const Program tracker = StartTracker({"--metrics", "127.0.0.1:0", "--event-log", log});
  const Program server = StartServer(tracker->Address());
  EXPECT_TRUE(tracker->WaitUntil([&] {
    std::ifstream file(log);
    std::stringstream text;
    text << file.rdbuf();
    return text.str().find("\"registered\"") != std::string::npos;
  }));
}

TEST_F(MetricsTest, NothingListensUnlessItIsAsked) {
  const Program without = StartTracker({});
  EXPECT_NE(without->Address(), "");
  const Program with = StartTracker();
  EXPECT_NE(with->Address(), "");
  EXPECT_EQ(ListeningPorts(with->pid()), ListeningPorts(without->pid()) + 1);
  EXPECT_EQ(without->err().find("metrics"), std::string::npos);
  const Program server = StartServer(without->Address(), {});
  EXPECT_NE(server->Address(), "");
  EXPECT_EQ(ListeningPorts(server->pid()), 1U);
}

TEST_F(MetricsTest, BeyondThisMachineTheyMustBeAllowed) {
  for (const std::vector<std::string>& program : std::vector<std::vector<std::string>>{
           {"kiln-tracker"}, {"kiln-server", "--target", "native"}}) {
    std::vector<std::string> command = program;
    command.insert(command.end(), {"--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:0"});
    const Outcome refused = RunProgram(scratch_, command);
    EXPECT_EQ(refused.status, 2);
    EXPECT_EQ(refused.out, "");
    EXPECT_THAT(refused.err, HasSubstr("--insecure"));
  }
  const Program open = StartTracker({"--metrics", "0.0.0.0:0", "--insecure"});
  EXPECT_NE(open->Address(), "");
  EXPECT_TRUE(open->WaitUntil(
      [&] { return open->err().find("INSECURE: the metrics") != std::string::npos; }));
}

TEST_F(MetricsTest, AWrongAddressIsAUsageErrorAndAUsedOneIsNone) {
  const Outcome wrong = RunProgram(scratch_, {"kiln-tracker", "--metrics", "here"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_TRUE(IsOneLine(wrong.err)) << wrong.err;
  const Program tracker = StartTracker();
  const Outcome used = RunProgram(
      scratch_, {"kiln-tracker", "--listen", "127.0.0.1:0", "--metrics", MetricsAddress(*tracker)});
  EXPECT_EQ(used.status, 1);
  EXPECT_THAT(used.err, HasSubstr("--metrics: cannot listen on"));
}

}  // namespace
}  // namespace kiln
