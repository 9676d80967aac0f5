#include "apps/kiln/top_watch.h"

#include <gtest/gtest.h>

#include <latch>
#include <semaphore>

namespace kiln {
namespace {

// An answer of the tracker with so many clients that wait.
TopAnswer Waiting(int clients) {
  return [clients](TopFacts& facts) {
    facts.farm.emplace().Hear(FarmInfo{.devices = {}, .waiting = clients}, 1);
  };
}

TEST(TopWatchTest, APlaceThatIsSilentKeepsNoOtherWaiting) {
  std::latch silent(1);
  std::binary_semaphore answered(0);
  {
    TopWatch watch({},
                   {[&](std::int64_t) {
                      silent.wait();
                      return Waiting(1);
                    },
                    [&, times = 0](std::int64_t) mutable -> TopAnswer {
                      // It is asked again only when it has been answered.
                      if (++times == 2) answered.release();
                      return [](TopFacts& facts) {
                        facts.store.emplace().Hear(StoreFacts{.trials = 7}, 1);
                      };
                    }},
                   SystemClock());
    watch.AskNow();
    answered.acquire();
    const TopFacts facts = watch.Facts();
    EXPECT_FALSE(facts.farm);
    EXPECT_EQ(facts.store->last->trials, 7);
    silent.count_down();
  }
}

TEST(TopWatchTest, WhoeverWantsItNowNeedNotWait) {
  std::counting_semaphore<100> asked(0);
  int times = 0;
  TopWatch watch({}, {[&](std::int64_t) {
                   asked.release();
                   return Waiting(++times);
                 }},
                 SystemClock());
  for (int i = 0; i < 20; ++i) {
    asked.acquire();
    watch.AskNow();
  }
  EXPECT_GE(watch.Facts().farm->last->waiting, 19);
}

}  // namespace
}  // namespace kiln
