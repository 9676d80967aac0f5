#include "rpc_server/measure_queue.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <utility>

#include "tests/rpc_server/fake_device.h"

namespace kiln {
namespace {

MeasureJob Job(
    const std::string& object, std::function<void(HostReply)> done,
    std::function<bool()> wanted = [] { return true; }) {
  MeasureJob job;
  job.object = std::make_shared<const std::string>(object);
  job.request.cases.resize(1);
  job.wanted = std::move(wanted);
  job.done = std::move(done);
  return job;
}

// Taken and given in turn.
class CoresInTurn final : public CoreLock {
 public:
  Status Take() override {
    EXPECT_FALSE(std::exchange(taken_, true)) << "they were not given back";
    return absl::OkStatus();
  }
  void Give() override { EXPECT_TRUE(std::exchange(taken_, false)) << "they were not taken"; }

 private:
  bool taken_ = false;  // on the queue's thread alone
};

std::unique_ptr<MeasureQueue> Queue(FakeKernel kernel, std::unique_ptr<CoreLock> cores = nullptr) {
  if (!cores) cores = std::make_unique<CoresInTurn>();
  return NewMeasureQueue(std::make_unique<FakeHostProcess>(std::move(kernel)), std::move(cores));
}

TEST(MeasureQueueTest, RunsOneAtATimeInOrder) {
  std::atomic<int> running = 0;
  std::vector<std::string> order;
  auto queue = Queue([&](const HostRequest& request) {
    EXPECT_EQ(++running, 1);
    order.push_back(request.object);
    --running;
    return SampleReply(request);
  });
  std::promise<void> last;
  queue->Submit(Job("a", [](HostReply) {}));
  queue->Submit(Job("b", [](HostReply) {}));
  queue->Submit(Job("c", [&](HostReply) { last.set_value(); }));
  last.get_future().wait();
  EXPECT_THAT(order, testing::ElementsAre("a", "b", "c"));
}

TEST(MeasureQueueTest, UnwantedJobsAreNotRun) {
  std::vector<std::string> order;
  auto queue = Queue([&](const HostRequest& request) {
    order.push_back(request.object);
    return SampleReply(request);
  });
  std::promise<void> last;
  queue->Submit(Job(
      "unwanted", [](HostReply) { FAIL(); }, [] { return false; }));
  queue->Submit(Job("wanted", [&](HostReply) { last.set_value(); }));
  last.get_future().wait();
  EXPECT_THAT(order, testing::ElementsAre("wanted"));
}

TEST(MeasureQueueTest, AJobThatIsNotWantedAnyMoreIsBrokenOff) {
  std::promise<void> started, resume, last;
  const std::shared_future<void> resumed(resume.get_future());
  auto host = std::make_unique<FakeHostProcess>([&](const HostRequest& request) {
    if (request.object == "long") {
      started.set_value();
      resumed.wait();
    }
    return SampleReply(request);
  });
  const FakeHostProcess& watched = *host;
  auto queue = NewMeasureQueue(std::move(host), std::make_unique<CoresInTurn>());
  std::atomic<bool> wanted = true;
  queue->Submit(Job(
      "long", [](HostReply) {}, [&] { return wanted.load(); }));
  started.get_future().wait();
  queue->DropUnwanted();
  EXPECT_EQ(watched.aborts(), 0);
  wanted = false;
  queue->DropUnwanted();
  EXPECT_EQ(watched.aborts(), 1);
  resume.set_value();
  queue->Submit(Job("next", [&](HostReply) { last.set_value(); }));
  last.get_future().wait();
  queue->DropUnwanted();
  EXPECT_EQ(watched.aborts(), 1) << "each is broken off once, and no other for it";
}

// The answer may end a call, and that of another one lead back to the queue.
TEST(MeasureQueueTest, JobsThatAreAskedMayComeBackToTheQueue) {
  std::promise<void> started, resume, last;
  const std::shared_future<void> resumed(resume.get_future());
  auto queue = Queue([&](const HostRequest& request) {
    if (request.object == "first") {
      started.set_value();
      resumed.wait();
    }
    return SampleReply(request);
  });
  queue->Submit(Job("first", [](HostReply) {}));
  started.get_future().wait();
  queue->Submit(Job(
      "unwanted", [](HostReply) { FAIL(); },
      [&] {
        queue->DropUnwanted();
        return false;
      }));
  queue->DropUnwanted();
  resume.set_value();
  queue->Submit(Job("last", [&](HostReply) { last.set_value(); }));
  last.get_future().wait();
}

TEST(MeasureQueueTest, DestructionWaitsForTheJobUnderWay) {
  std::promise<void> started, gone;
  std::atomic<bool> done = false;
  auto queue = Queue([&](const HostRequest& request) {
    started.set_value();
    // For so long that a queue which does not wait has gone.
    gone.get_future().wait_for(std::chrono::milliseconds(100));
    return SampleReply(request);
  });
  queue->Submit(Job("a", [&](HostReply) { done = true; }));
  started.get_future().wait();
  queue.reset();
  EXPECT_TRUE(done);
  gone.set_value();
}

TEST(MeasureQueueTest, CoresThatCannotBeLockedAreADeviceLost) {
  class Broken final : public CoreLock {
    Status Take() override { return Error(StatusCode::kUnavailable, "no locks"); }
    void Give() override {}
  };
  auto queue = Queue(SampleReply, std::make_unique<Broken>());
  std::promise<HostReply> answer;
  queue->Submit(Job("a", [&](HostReply reply) { answer.set_value(std::move(reply)); }));
  const HostReply reply = answer.get_future().get();
  ASSERT_TRUE(std::holds_alternative<Failure>(reply.outcome));
  EXPECT_EQ(std::get<Failure>(reply.outcome).kind, FailureKind::kDeviceLost);
}

}  // namespace
}  // namespace kiln
