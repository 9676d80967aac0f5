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

// What SIGHUP does, as it was before the test.
class KeptHangUp {
 public:
  explicit KeptHangUp(void (*handler)(int)) : before_(signal(SIGHUP, handler)) {}
  ~KeptHangUp() { signal(SIGHUP, before_); }
  KeptHangUp(const KeptHangUp&) = delete;
  KeptHangUp& operator=(const KeptHangUp&) = delete;

 private:
  void (*const before_)(int);
};

TEST(ReactorTest, HangUpIsATerminationUntilSomebodyHandlesIt) {
  const KeptHangUp kept(SIG_DFL);
  auto reactor = NewReactor();
  std::promise<int> terminated;
  reactor->OnTermination([&](int count) { terminated.set_value(count); });
  raise(SIGHUP);
  EXPECT_EQ(terminated.get_future().get(), 1);
}

TEST(ReactorTest, HandledHangUpIsNoTermination) {
  const KeptHangUp kept(SIG_DFL);
  auto reactor = NewReactor();
  std::promise<int> terminated;
  std::vector<std::promise<std::thread::id>> hung_up(2);
  std::size_t next = 0;
  reactor->OnTermination([&](int count) { terminated.set_value(count); });
  reactor->OnHangUp([&] { hung_up.at(next++).set_value(std::this_thread::get_id()); });
  raise(SIGHUP);
  const std::thread::id thread = hung_up[0].get_future().get();
  EXPECT_NE(thread, std::this_thread::get_id());
  raise(SIGHUP);
  EXPECT_EQ(hung_up[1].get_future().get(), thread) << "each one calls";
  raise(SIGTERM);
  EXPECT_EQ(terminated.get_future().get(), 1) << "and none of them counted as a termination";
}

TEST(ReactorTest, HangUpIsHandledWhicheverIsAskedForFirst) {
  const KeptHangUp kept(SIG_DFL);
  auto reactor = NewReactor();
  std::promise<int> terminated;
  std::promise<void> hung_up;
  reactor->OnHangUp([&] { hung_up.set_value(); });
  reactor->OnTermination([&](int count) { terminated.set_value(count); });
  raise(SIGHUP);
  hung_up.get_future().wait();
  raise(SIGTERM);
  EXPECT_EQ(terminated.get_future().get(), 1);
}

// Under nohup.
TEST(ReactorTest, IgnoredHangUpStaysIgnored) {
  const KeptHangUp kept(SIG_IGN);
  auto reactor = NewReactor();
  std::promise<int> terminated;
  reactor->OnTermination([&](int count) { terminated.set_value(count); });
  raise(SIGHUP);
  raise(SIGTERM);
  EXPECT_EQ(terminated.get_future().get(), 1);
}

}  // namespace
}  // namespace kiln
