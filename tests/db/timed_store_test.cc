#include "db/timed_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/db/trials.h"
#include "tests/measure/stepping_clock.h"

namespace kiln {
namespace {

TEST(TimedStoreTest, TellsOfTrialsThatWereKeptAndOfErrors) {
  SteppingClock clock;
  std::vector<Nanoseconds> appended;
  std::vector<Status> failed;
  const auto store =
      NewTimedStore(NewMemoryStore(), clock,
                    {.appended = [&](Nanoseconds time) { appended.push_back(time); },
                     .failed = [&](const Status& status) { failed.push_back(status); }});
  const Task task = FakeTask();
  const std::vector<Trial> trials = {OkTrial(task, 0, 100, "a")};
  EXPECT_TRUE(store->Append(task, CacheState::kHot, trials).ok());
  EXPECT_EQ(appended.size(), 1u);
  EXPECT_TRUE(failed.empty());

  const std::vector<Trial> nameless = {OkTrial(task, 1, 100, "")};
  const Status refused = store->Append(task, CacheState::kHot, nameless);
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(appended.size(), 1u);
  EXPECT_THAT(failed, testing::ElementsAre(refused));
  EXPECT_FALSE(store->AppendPeak({}).ok());
  EXPECT_EQ(failed.size(), 2u);
}

}  // namespace
}  // namespace kiln
