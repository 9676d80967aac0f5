// A tuner that is killed, or interrupted, at any moment: what it stored stays, nothing that it
// started keeps running, and the same command goes on.

#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <set>

#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/integration/stored_trials.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::IsSupersetOf;

constexpr char kConv[] =
    "conv2d/i8/n1h14w14c32/o48/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
constexpr char kPointwise[] =
    "conv2d/i8/n1h14w14c64/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=none/rq=int9/double";

class ResumeTest : public KilnTest {
 protected:
  static std::vector<std::string> Command(std::int64_t trials_per_task) {
    return {"kiln",
            "tune",
            "--workload",
            kConv,
            kPointwise,
            "--json",
            "--batch",
            "8",
            "--trials-per-task",
            std::to_string(trials_per_task)};
  }
  std::vector<StoredTrial> Stored() const { return ReadTrials(scratch_.database()); }
  // Waits until so many trials are stored and the tuner is still at work.
  bool AwaitTrials(const RunningProgram& tuner, std::size_t count) const {
    return tuner.WaitUntil([&] { return Stored().size() >= count; });
  }
  // Tunes on from `before` and checks that it stays what it was.
  void ExpectGoesOnFrom(const std::vector<StoredTrial>& before) const {
    std::map<std::int64_t, std::int64_t> of_task;
    for (const StoredTrial& trial : before) of_task[trial.task_id] = trial.seq;
    std::int64_t most = 0;
    for (const auto& [task, trials] : of_task) most = std::max(most, trials);
    const std::int64_t wanted = most + 8;

    const Outcome outcome = RunProgram(scratch_, Command(wanted));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    std::int64_t resumed = 0;
    for (const auto& line : JsonLines(outcome.out)) {
      if (!line.contains("trials")) continue;  // the one that sums up
      EXPECT_EQ(line["trials"], wanted) << line;
      resumed += line["resumed"].get<std::int64_t>();
    }
    EXPECT_EQ(resumed, static_cast<std::int64_t>(before.size()));
    const auto after = Stored();
    EXPECT_EQ(after.size(), static_cast<std::size_t>(2 * wanted));
    EXPECT_TRUE(AreDistinctAndInOrder(after));
    EXPECT_TRUE(std::ranges::includes(after, before)) << "a stored trial is another one now";
  }
};

TEST_F(ResumeTest, KilledTunerLosesNothingLeavesNothingAndGoesOn) {
  ASSERT_TRUE(AdoptOrphans());
  std::set<std::string> helpers;
  {
    RunningProgram tuner(scratch_, Command(100'000));
    ASSERT_TRUE(AwaitTrials(tuner, 30)) << tuner.err();
    for (const Process& process : Descendants(tuner.pid())) helpers.insert(process.name);
    tuner.Signal(SIGKILL);
    EXPECT_EQ(tuner.Wait().status, -SIGKILL);
  }
  EXPECT_THAT(helpers, IsSupersetOf({std::string("kiln-server"), std::string("kiln-compile-wo")}))
      << "what must be gone was never there";
  EXPECT_TRUE(ReapOrphans()) << "a helper of the killed tuner still runs";

  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  const auto before = Stored();
  EXPECT_GE(before.size(), 30u);
  EXPECT_TRUE(AreDistinctAndInOrder(before));
  ExpectGoesOnFrom(before);
}

TEST_F(ResumeTest, KilledAgainAndAgainItNeverRepeatsATrial) {
  for (const std::size_t round : {1, 2, 3}) {
    RunningProgram tuner(scratch_, Command(100'000));
    const std::size_t stored = Stored().size();
    ASSERT_TRUE(AwaitTrials(tuner, stored + 3 * round)) << tuner.err();
    tuner.SignalGroup(SIGKILL);
    EXPECT_EQ(tuner.Wait().status, -SIGKILL);
    EXPECT_EQ(Integrity(scratch_.database()), "ok");
    EXPECT_TRUE(AreDistinctAndInOrder(Stored()));
  }
  ExpectGoesOnFrom(Stored());
}

TEST_F(ResumeTest, InterruptedTunerStoresSumsUpAndEndsWith130) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::size_t stored = Stored().size();
    RunningProgram tuner(scratch_, Command(100'000));
    ASSERT_TRUE(AwaitTrials(tuner, stored + 10)) << tuner.err();
    tuner.SignalGroup(signal);  // as the terminal does: helpers of other groups do not get it
    const Outcome outcome = tuner.Wait();
    EXPECT_EQ(outcome.status, 130) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("finished trials are stored"));
    std::int64_t trials = 0;
    for (const auto& line : JsonLines(outcome.out)) {
      if (line.contains("trials")) trials += line["trials"].get<std::int64_t>();
    }
    EXPECT_EQ(trials, static_cast<std::int64_t>(Stored().size()));
    EXPECT_GE(trials, static_cast<std::int64_t>(stored) + 10);
  }
  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  ExpectGoesOnFrom(Stored());
}

TEST_F(ResumeTest, TwoTunersShareADatabase) {
  RunningProgram one(scratch_, Command(24));
  const Outcome two = RunProgram(scratch_, Command(24));
  EXPECT_EQ(two.status, 0) << two.err;
  const Outcome first = one.Wait();
  EXPECT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  EXPECT_TRUE(AreDistinctAndInOrder(Stored()));
  EXPECT_GE(Stored().size(), 48u);
}

}  // namespace
}  // namespace kiln
