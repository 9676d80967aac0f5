#include "rpc_tracker/fair_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;

// A queue for one device, which is held for as long as the test says.
class FairQueueTest : public testing::Test {
 protected:
  FairQueue::Ticket Push(const std::string& party, const std::string& client, int priority = 0) {
    queue_.Push(now_, ++last_, {party, client}, priority);
    return last_;
  }
  void Push(int count, const std::string& party, const std::string& client) {
    while (count-- > 0) Push(party, client);
  }
  // The next turn, which lasts so long.
  FairQueue::Ticket Serve(milliseconds held) {
    FairQueue::Turn turn = queue_.Pop(now_);
    now_ += held;
    queue_.End(now_, turn);
    return turn.ticket();
  }
  std::vector<FairQueue::Ticket> ServeAll(milliseconds held) {
    std::vector<FairQueue::Ticket> order;
    while (!queue_.empty()) order.push_back(Serve(held));
    return order;
  }

  SteadyTime now_{};
  FairQueue queue_{{}};
  FairQueue::Ticket last_ = 0;
};

TEST_F(FairQueueTest, TurnsGoRoundBetweenClients) {
  Push(3, "p", "a");  // 1 2 3
  Push(2, "p", "b");  // 4 5
  EXPECT_THAT(ServeAll(milliseconds(1)), ElementsAre(1, 4, 2, 5, 3));
}

TEST_F(FairQueueTest, TurnsGoRoundBetweenPartiesFirst) {
  Push("many", "a");
  Push("many", "b");
  Push("many", "c");
  Push(3, "one", "d");  // 4 5 6
  EXPECT_THAT(ServeAll(milliseconds(1)), ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST_F(FairQueueTest, PriorityThenArrivalWithinAClient) {
  Push("p", "a", 0);
  Push("p", "a", 7);
  Push("p", "a", -3);
  Push("p", "a", 7);
  EXPECT_THAT(ServeAll(milliseconds(1)), ElementsAre(2, 4, 1, 3));
}

TEST_F(FairQueueTest, PriorityPassesNoOtherClient) {
  Push("p", "modest");
  Push("p", "urgent", 1'000'000);
  Push("p", "urgent", 1'000'000);
  Push("p", "modest");
  EXPECT_THAT(ServeAll(milliseconds(1)), ElementsAre(1, 2, 4, 3));
}

TEST_F(FairQueueTest, WhoHoldsLongerIsServedLessOften) {
  Push(100, "p", "long");
  Push(100, "p", "short");
  int longs = 0, shorts = 0;
  while (shorts < 80) {
    FairQueue::Turn turn = queue_.Pop(now_);
    const bool is_long = turn.ticket() <= 100;
    ++(is_long ? longs : shorts);
    now_ += is_long ? seconds(4) : seconds(1);
    queue_.End(now_, turn);
  }
  EXPECT_NEAR(longs, 20, 1);
}

TEST_F(FairQueueTest, WhoComesLateGetsNoMoreThanItsShare) {
  Push(1000, "p", "early");
  for (int i = 0; i < 500; ++i) Serve(seconds(1));
  Push(1000, "p", "late");  // 1001...
  int late = 0;
  for (int i = 0; i < 100; ++i) late += Serve(seconds(1)) > 1000;
  EXPECT_NEAR(late, 50, 1);
}

TEST_F(FairQueueTest, LeavingAndComingBackClearsNoDebt) {
  Push(3, "p", "stays");
  Push("p", "leaves");  // 4
  EXPECT_EQ(Serve(milliseconds(1)), 1u);
  EXPECT_EQ(Serve(seconds(5)), 4u);
  Push("p", "leaves");  // 5: it owes five seconds
  EXPECT_EQ(Serve(seconds(1)), 2u);
  EXPECT_EQ(Serve(seconds(1)), 3u);
  Push(4, "p", "stays");  // 6 7 8 9
  EXPECT_EQ(Serve(seconds(1)), 6u);
  EXPECT_EQ(Serve(seconds(1)), 7u);
  EXPECT_EQ(Serve(seconds(1)), 8u);
  EXPECT_EQ(Serve(seconds(1)), 5u);
}

TEST_F(FairQueueTest, NothingIsSavedUpByStayingAway) {
  Push("p", "away");  // 1
  Push(100, "p", "works");
  for (int i = 0; i < 60; ++i) Serve(seconds(1));
  Push(50, "p", "away");  // 102...
  int away = 0;
  for (int i = 0; i < 20; ++i) away += Serve(seconds(1)) > 101;
  EXPECT_NEAR(away, 10, 1);
}

TEST_F(FairQueueTest, NoDebtIsLargerThanTheBound) {
  Push(2, "p", "hog");  // 1 2
  Push(1000, "p", "other");
  EXPECT_EQ(Serve(std::chrono::hours(10)), 1u);
  int others = 0;
  while (Serve(seconds(1)) != 2) ++others;
  EXPECT_NEAR(others, 600, 1);
}

TEST_F(FairQueueTest, ADeviceThatNobodyElseWantsIsFreeOfCharge) {
  Push("p", "alone");  // 1
  Push("q", "other");  // 2
  Serve(milliseconds(1));
  FairQueue::Turn turn = queue_.Pop(now_);  // nobody waits any more
  now_ += minutes(5);
  Push(2, "p", "alone");  // 3 4
  queue_.Charge(now_, turn);
  Push("q", "other");  // 5
  EXPECT_EQ(Serve(milliseconds(1)), 3u);
  EXPECT_EQ(Serve(milliseconds(1)), 5u);
  queue_.End(now_, turn);
}

TEST_F(FairQueueTest, AnOfferThatCameToNothingCostsNothingAndKeepsThePlace) {
  Push(2, "p", "a");  // 1 2
  Push(2, "p", "b");  // 3 4
  const FairQueue::Turn first = queue_.Pop(now_);
  const FairQueue::Turn second = queue_.Pop(now_);
  EXPECT_EQ(first.ticket(), 1u);
  EXPECT_EQ(second.ticket(), 3u);
  queue_.PutBack(now_, second);
  queue_.PutBack(now_, first);
  EXPECT_THAT(ServeAll(milliseconds(1)), ElementsAre(1, 3, 2, 4));
}

TEST_F(FairQueueTest, AnErasedRequestHasNoTurn) {
  Push(2, "p", "a");
  Push("q", "b");
  queue_.Erase(now_, 1);
  queue_.Erase(now_, 1);
  queue_.Erase(now_, 99);
  EXPECT_EQ(queue_.size(), 2u);
  EXPECT_THAT(ServeAll(milliseconds(1)), testing::UnorderedElementsAre(2, 3));
}

TEST_F(FairQueueTest, WhoWantsNothingIsForgotten) {
  for (int i = 0; i < 1000; ++i) Push("party" + std::to_string(i), "c");
  ServeAll(milliseconds(1));
  EXPECT_EQ(queue_.accounts(), 0u);
}

TEST_F(FairQueueTest, DebtorsThatCameOnceAreRememberedInBoundedMemory) {
  Push(2000, "steady", "c");
  for (int i = 0; i < 1000; ++i) {
    Push("passing" + std::to_string(i), "c");
    Push("steady", "passing" + std::to_string(i));
    for (int served = 0; served < 3; ++served) Serve(seconds(1));
    ASSERT_LE(queue_.accounts(), 2 * 64 + 2 + 3000u);
  }
  while (queue_.size() > 1) Serve(seconds(1));
  EXPECT_LE(queue_.accounts(), 2 * 64 + 2u);
}

TEST_F(FairQueueTest, AHolderIsDueOnlyForOthers) {
  Push("p", "holder");
  FairQueue::Turn turn = queue_.Pop(now_);
  Push(5, "p", "holder");
  now_ += seconds(3);
  queue_.Charge(now_, turn);
  EXPECT_EQ(queue_.OthersDue(turn), 0u) << "its own requests";
  Push("p", "colleague");
  EXPECT_EQ(queue_.OthersDue(turn), 1u);
  Push(2, "q", "stranger");
  EXPECT_EQ(queue_.OthersDue(turn), 3u);
  queue_.End(now_, turn);
}

TEST_F(FairQueueTest, AHolderIsNotDueForWhoHoldsAsMuch) {
  Push("p", "ann");
  Push("q", "bob");
  FairQueue::Turn anns = queue_.Pop(now_);
  const FairQueue::Turn bobs = queue_.Pop(now_);
  Push("p", "ann");  // each would like a second device
  Push("q", "bob");
  now_ += seconds(3);
  queue_.Charge(now_, anns);
  EXPECT_EQ(queue_.OthersDue(anns), 0u) << "they would change places";
  queue_.End(now_, bobs);
  now_ += seconds(1);
  queue_.Charge(now_, anns);
  EXPECT_EQ(queue_.OthersDue(anns), 1u) << "now one of them has none";
  queue_.End(now_, anns);
}

TEST_F(FairQueueTest, AHolderWhoseShareIsNotUsedUpIsNotDue) {
  Push(2, "p", "greedy");  // 1 2
  Push("p", "holder");     // 3
  Serve(seconds(10));
  FairQueue::Turn turn = queue_.Pop(now_);
  ASSERT_EQ(turn.ticket(), 3u);
  now_ += seconds(9);
  queue_.Charge(now_, turn);
  EXPECT_EQ(queue_.OthersDue(turn), 0u);
  now_ += seconds(2);
  queue_.Charge(now_, turn);
  EXPECT_EQ(queue_.OthersDue(turn), 1u);
  queue_.End(now_, turn);
}

}  // namespace
}  // namespace kiln
