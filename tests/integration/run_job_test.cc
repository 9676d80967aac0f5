// `kiln run-job`, the tuner of one job, as the daemon starts it.

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <set>

#include "base/digest.h"
#include "tests/integration/job_program.h"
#include "tests/integration/stored_trials.h"

namespace kiln {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

constexpr char kConv[] =
    "conv2d/i8/n1h14w14c32/o48/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
constexpr char kPointwise[] =
    "conv2d/i8/n1h14w14c64/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=none/rq=int9/double";

json Workloads(const std::vector<std::string>& keys) { return {{"workloads", keys}}; }

class RunJobTest : public KilnTest {
 protected:
  // What the daemon sends: `more` is merged into it.
  std::string Order(const json& spec, const json& more = json::object()) const {
    json order = {{"job", 7},
                  {"spec", spec},
                  {"database", scratch_.database()},
                  {"tracker", ""},
                  {"ca", ""},
                  {"cert", ""},
                  {"key", ""},
                  {"client", ""},
                  {"priority", 0},
                  {"command", "kiln daemon: job 7"}};
    order.update(more);
    return order.dump();
  }
  static json Spec(std::int64_t trials) {
    return {{"networks", {Workloads({kConv, kPointwise})}}, {"trials", trials}};
  }
  // Runs a job that cannot be done.
  json Trouble(const std::string& order) const {
    JobProgram job(scratch_, order);
    const json ended = job.End();
    EXPECT_EQ(job.program().Wait().status, 1) << ended;
    EXPECT_EQ(ended["outcome"], "error") << ended;
    EXPECT_THAT(ended["text"].get<std::string>(),
                AllOf(Not(HasSubstr("\n")), Not(testing::IsEmpty())));
    EXPECT_EQ(ended["made"], 0);
    return ended;
  }
  std::vector<StoredTrial> Stored() const { return ReadTrials(scratch_.database()); }
};

TEST_F(RunJobTest, TunesTwoNetworksAndTellsHowItGoes) {
  const json networks = {Workloads({kConv, kPointwise, kPointwise}),
                         {{"workloads", {kPointwise}}, {"weight", 2}}};
  JobProgram job(scratch_, Order({{"networks", networks}, {"trials", 24}}));
  const json ended = job.End();
  EXPECT_EQ(job.program().Wait().status, 0);

  const auto begun = job.Said("begun");
  ASSERT_EQ(begun.size(), 1u);
  EXPECT_EQ(begun[0]["tasks"], 2) << "a shared layer is one task";
  EXPECT_EQ(begun[0]["stored"], 0);
  EXPECT_EQ(begun[0]["expected"], 24);
  EXPECT_EQ(begun[0]["kind"], "measured");
  EXPECT_GT(begun[0]["peak_gops"].get<double>(), 0);

  const auto trials = job.Said("trial");
  ASSERT_EQ(trials.size(), 24u);
  std::set<std::string> tasks, improved;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    EXPECT_EQ(trials[i]["made"], i + 1);
    tasks.insert(trials[i]["task"]);
    if (trials[i]["improved"]) improved.insert(trials[i]["task"]);
  }
  EXPECT_EQ(tasks, (std::set<std::string>{kConv, kPointwise}));
  EXPECT_EQ(improved, tasks) << "the first with a time is one";
  EXPECT_EQ(Stored().size(), 24u);

  std::set<std::string> stages;
  for (const json& timings : job.Said("timings")) {
    stages.insert(timings["stage"]);
    EXPECT_FALSE(timings["seconds"].empty());
  }
  EXPECT_THAT(stages, IsSupersetOf({"compile", "run", "lease_wait", "append"}));
  std::int64_t looked = 0;
  for (const json& cache : job.Said("cache")) {
    looked += cache["hits"].get<std::int64_t>() + cache["misses"].get<std::int64_t>();
  }
  EXPECT_GE(looked, 24);
  const auto phases = job.Said("phase");
  ASSERT_EQ(phases.size(), 2u);
  EXPECT_EQ(phases[0]["phase"], "tuning");
  EXPECT_EQ(phases[1]["phase"], "confirming");

  EXPECT_EQ(ended["outcome"], "complete") << ended;
  EXPECT_EQ(ended["made"], 24);
  EXPECT_EQ(ended["tasks_short"], 0);
  ASSERT_EQ(ended["networks"].size(), 2u);
  const json &first = ended["networks"][0], &second = ended["networks"][1];
  EXPECT_EQ(first["tasks"], 2);
  EXPECT_EQ(second["tasks"], 1);
  EXPECT_GT(first["after_ns"].get<double>(), 2 * second["after_ns"].get<double>())
      << "it has that layer twice";
  EXPECT_GT(first["before_ns"].get<double>(), 2 * second["before_ns"].get<double>());
  EXPECT_EQ(
      SQLite::Database(scratch_.database()).execAndGet("SELECT command FROM sessions").getString(),
      "kiln daemon: job 7");
}

TEST_F(RunJobTest, StopsAtSigtermAndGoesOnWithoutDoubles) {
  const json endless = Spec(100'000);
  std::int64_t stored = 0;
  for (int run = 0; run < 2; ++run) {
    JobProgram job(scratch_, Order(endless));
    ASSERT_TRUE(job.ReadUntil([](const json& said) {
      return said["event"] == "trial" && said["made"] == 10;
    })) << job.program().err();
    job.program().Signal(SIGTERM);
    const json ended = job.End();
    EXPECT_EQ(job.program().Wait().status, 0);
    EXPECT_EQ(ended["outcome"], "stopped") << ended;
    ASSERT_EQ(job.Said("begun").size(), 1u);
    EXPECT_EQ(job.Said("begun")[0]["stored"], stored);
    stored += ended["made"].get<std::int64_t>();
    EXPECT_EQ(static_cast<std::int64_t>(Stored().size()), stored);
    EXPECT_TRUE(AreDistinctAndInOrder(Stored()));
  }
}

TEST_F(RunJobTest, SigtermBeforeAnythingIsReadyIsAWishToStopToo) {
  JobProgram job(scratch_, Order(Spec(100'000)));
  // It has taken the order once it has opened the database.
  ASSERT_TRUE(
      job.program().WaitUntil([&] { return std::filesystem::exists(scratch_.database()); }));
  job.program().Signal(SIGTERM);
  EXPECT_EQ(job.End()["outcome"], "stopped");
  EXPECT_EQ(job.program().Wait().status, 0);
}

TEST_F(RunJobTest, WithoutABudgetItEndsByTime) {
  json spec = Spec(0);
  spec.erase("trials");
  JobProgram job(scratch_, Order(spec, {{"seconds", 3}}));
  const json ended = job.End();
  EXPECT_EQ(job.program().Wait().status, 0);
  EXPECT_EQ(ended["outcome"], "time") << ended;
  EXPECT_TRUE(job.Said("begun").at(0)["expected"].is_null());
}

TEST_F(RunJobTest, ABudgetThatIsUsedUpInTimeIsComplete) {
  ASSERT_EQ(JobProgram(scratch_, Order(Spec(4))).End()["outcome"], "complete");
  JobProgram again(scratch_, Order(Spec(4), {{"seconds", 3600}}));
  const json ended = again.End();
  EXPECT_EQ(ended["outcome"], "complete") << ended;
  EXPECT_EQ(ended["made"], 0) << "stored trials count";
}

TEST_F(RunJobTest, SaysWhatIsWrongWithAModel) {
  const std::string model = scratch_.Write("m.tflite", "no model");
  const auto spec = [&](const std::string& path, const std::string& digest) -> json {
    return {{"networks", {{{"model", path}, {"digest", digest}}}}, {"trials", 1}};
  };
  const json changed = Trouble(Order(spec(model, Hex(Digest("another")))));
  EXPECT_EQ(changed["trouble"], "model");
  EXPECT_THAT(changed["text"].get<std::string>(),
              HasSubstr("m.tflite has changed since the job was submitted: submit it again"));
  EXPECT_EQ(Trouble(Order(spec(model, Hex(Digest("no model")))))["trouble"], "model");
  const json missing = Trouble(Order(spec(scratch_.Path("gone.tflite"), Hex(1))));
  EXPECT_EQ(missing["trouble"], "model");
  EXPECT_THAT(missing["text"].get<std::string>(), HasSubstr("gone.tflite"));
}

TEST_F(RunJobTest, SaysWhatElseCannotBeDone) {
  json spec = Spec(1);
  spec["target"] = "nobodys-chip";
  EXPECT_EQ(Trouble(Order(spec))["trouble"], "target");
  spec = Spec(1);
  spec["policy"] = "oracle";
  const json policy = Trouble(Order(spec));
  EXPECT_EQ(policy["trouble"], "error");
  EXPECT_THAT(policy["text"].get<std::string>(), HasSubstr("no search policy oracle"));
  const std::string file = scratch_.Write("not.db", std::string(8192, 'x'));
  EXPECT_EQ(Trouble(Order(Spec(1), {{"database", file}}))["trouble"], "store");
  EXPECT_EQ(Trouble(Order(Spec(1), {{"tracker", "127.0.0.1:1"}}))["trouble"], "device");
  EXPECT_EQ(Trouble("{}")["trouble"], "error");
  EXPECT_THAT(Trouble(Order(Spec(1), {{"tracer", 1}}))["text"].get<std::string>(),
              HasSubstr("tracer"));
}

TEST_F(RunJobTest, AFullDiskIsTheStores) {
  const std::string disk = scratch_.Path("disk");
  std::filesystem::create_directory(disk);
  constexpr char kOnFullDisk[] = R"(head -c 600k /dev/zero > "$2/ballast"; exec "$1" run-job)";
  json spec = Spec(100'000);
  spec["policy"] = "random";
  JobProgram job(
      scratch_, Order(spec, {{"database", disk + "/t.db"}}),
      {"on_small_disk", disk, "1m", "sh", "-c", kOnFullDisk, "sh", ProgramPath("kiln"), disk});
  std::optional<json> last;
  while (const auto next = job.Next()) last = next;
  const int status = job.program().Wait().status;
  if (status == 77) GTEST_SKIP() << "SKIPPED: this system allows no mount namespace";
  EXPECT_EQ(status, 1);
  ASSERT_TRUE(last);
  EXPECT_EQ((*last)["trouble"], "store") << *last;
  EXPECT_THAT((*last)["text"].get<std::string>(), HasSubstr("the disk is full"));
  EXPECT_EQ((*last)["made"], job.Said("trial").size());
}

TEST_F(RunJobTest, StaleOnlyTunesWhatIsStale) {
  ExpectKiln(0, {"tune", "--workload", kConv, kPointwise, "--trials-per-task", "3"});
  json spec = {
      {"networks", {Workloads({kConv, kPointwise})}}, {"trials_per_task", 3}, {"stale_only", true}};
  {
    JobProgram job(scratch_, Order(spec));
    const json ended = job.End();
    EXPECT_EQ(job.program().Wait().status, 0);
    EXPECT_EQ(ended["outcome"], "complete");
    EXPECT_EQ(ended["text"], "nothing is stale");
  }
  // As if another Kiln had made the code.
  SQLite::Database(scratch_.database(), SQLite::OPEN_READWRITE)
      .exec(
          "UPDATE trials SET code_digest = '0123456789abcdef' WHERE task_id = "
          "(SELECT id FROM tasks WHERE workload = '" +
          std::string(kConv) + "')");
  JobProgram job(scratch_, Order(spec));
  const json ended = job.End();
  EXPECT_EQ(ended["outcome"], "complete");
  EXPECT_EQ(job.Said("begun").at(0)["tasks"], 1);
  const auto trials = job.Said("trial");
  EXPECT_EQ(trials.size(), 3u);
  for (const json& trial : trials) EXPECT_EQ(trial["task"], kConv);
}

TEST_F(RunJobTest, SaysThatItWaitsForADeviceAndThatItGoesOn) {
  RunningProgram tracker(scratch_, {"kiln-tracker", "--listen", "127.0.0.1:0"});
  const std::string address = tracker.Address();
  JobProgram job(scratch_, Order(Spec(100'000), {{"tracker", address}, {"client", "daemon/7"}}));
  ASSERT_TRUE(job.ReadUntilEvent("waiting")) << job.program().err();
  EXPECT_THAT(job.Said("waiting").back()["text"].get<std::string>(), HasSubstr("waiting for a "));
  RunningProgram server(scratch_, {"kiln-server", "--tracker", address, "--target", "native"});
  ASSERT_TRUE(job.ReadUntil(
      [](const json& said) { return said["event"] == "waiting" && said["text"] == ""; }));
  ASSERT_TRUE(job.ReadUntilEvent("trial"));
  EXPECT_THAT(Kiln({"devices", "--tracker", address, "--json"}).out, HasSubstr("daemon/7"));
  job.program().Signal(SIGTERM);
  EXPECT_EQ(job.End()["outcome"], "stopped");
}

TEST_F(RunJobTest, TheEndOfItsTimeEndsAWaitForADevice) {
  RunningProgram tracker(scratch_, {"kiln-tracker", "--listen", "127.0.0.1:0"});
  JobProgram job(scratch_, Order(Spec(10), {{"tracker", tracker.Address()}, {"seconds", 1.5}}));
  const json ended = job.End();
  EXPECT_EQ(ended["outcome"], "time") << ended;
  EXPECT_EQ(job.program().Wait().status, 0);
}

TEST_F(RunJobTest, WithoutItsDaemonItStoresAndEnds) {
  JobProgram job(scratch_, Order(Spec(100'000)));
  ASSERT_TRUE(job.ReadUntilEvent("trial")) << job.program().err();
  job.HangUp();
  EXPECT_EQ(job.program().Wait().status, 1);
  EXPECT_FALSE(Stored().empty());
  EXPECT_TRUE(AreDistinctAndInOrder(Stored()));
}

TEST_F(RunJobTest, IsNotForTheCommandLine) {
  const Outcome outcome = ExpectKiln(2, {"run-job"});
  EXPECT_THAT(outcome.err, HasSubstr("what the daemon starts"));
  EXPECT_TRUE(IsOneLine(outcome.err));
  EXPECT_THAT(ExpectKiln(0, {"--help"}).out, Not(HasSubstr("run-job")));
}

}  // namespace
}  // namespace kiln
