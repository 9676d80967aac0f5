#include "base/reactor.h"

#include <gmock/gmock.h>

#include <csignal>
#include <future>
#include <thread>
#include <vector>

namespace kiln {
namespace {

using std::chrono::milliseconds;

TEST(ReactorTest, WorkRunsInOrderOnOneOtherThread) {
  auto reactor = NewReactor();
  std::vector<int> order;
  std::vector<std::thread::id> threads;
  std::promise<void> done;
  for (int i = 0; i < 3; ++i) {
    reactor->Post([&, i] {
      order.push_back(i);
      threads.push_back(std::this_thread::get_id());
    });
  }
  reactor->Post([&] { done.set_value(); });
  done.get_future().wait();
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2));
  EXPECT_THAT(threads, testing::Each(threads.front()));
  EXPECT_NE(threads.front(), std::this_thread::get_id());
}

TEST(ReactorTest, LaterWorkRunsLater) {
  auto reactor = NewReactor();
  std::vector<int> order;
  std::promise<void> done;
  reactor->After(milliseconds(40), [&] {
    order.push_back(2);
    done.set_value();
  });
  reactor->After(milliseconds(1), [&] { order.push_back(1); });
  done.get_future().wait();
  EXPECT_THAT(order, testing::ElementsAre(1, 2));
}

TEST(ReactorTest, DestructionDropsWorkThatIsNotDue) {
  bool ran = false;
  auto reactor = NewReactor();
  reactor->After(std::chrono::hours(1), [&] { ran = true; });
  reactor.reset();
  EXPECT_FALSE(ran);
}

TEST(ReactorTest, TerminationSignalsAreCounted) {
  auto reactor = NewReactor();
  std::vector<std::promise<int>> signals(2);
  reactor->OnTermination([&](int count) { signals.at(count - 1).set_value(count); });
  raise(SIGTERM);
  EXPECT_EQ(signals[0].get_future().get(), 1);
  raise(SIGINT);
  EXPECT_EQ(signals[1].get_future().get(), 2);
}

}  // namespace
}  // namespace kiln
