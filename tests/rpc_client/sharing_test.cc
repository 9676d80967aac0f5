// Two clients and one device, in this process over loopback sockets, with a tracker that a test
// plays: it serves who waits in order of arrival, and asks the holder for the device as soon as
// somebody waits.

#include <gmock/gmock.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "base/digest.h"
#include "proto/tracker.grpc.pb.h"
#include "rpc_client/rpc_client.h"
#include "tests/rpc_server/fake_device.h"
#include "tests/tuner/synthetic_task.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kPatience{30};

class AskingTracker final : public v1::Tracker::Service {
 public:
  AskingTracker(FakeDevice& device, milliseconds ttl) : device_(device), ttl_(ttl) {}

  grpc::Status AcquireLease(grpc::ServerContext* context, const v1::AcquireLeaseRequest* request,
                            v1::AcquireLeaseReply* reply) override {
    std::unique_lock lock(mutex_);
    queue_.push_back(request->lease_id());
    changed_.notify_all();
    const auto is_next = [&] { return lease_.empty() && queue_.front() == request->lease_id(); };
    while (!is_next() && !context->IsCancelled()) changed_.wait_for(lock, milliseconds(1));
    const bool granted = is_next();
    std::erase(queue_, request->lease_id());
    changed_.notify_all();
    if (!granted) return grpc::Status(grpc::StatusCode::CANCELLED, "");
    lease_ = request->lease_id();
    holder_ = request->client();
    holders_.push_back(holder_);
    has_asked_ = false;
    device_.fence().Grant({lease_, holder_, ++epoch_});
    reply->set_lease_id(lease_);
    reply->set_epoch(epoch_);
    reply->set_device(device_.identity().name);
    reply->set_address(device_.address());
    reply->set_ttl_ms(ttl_.count());
    reply->set_time_kind("measured");
    return grpc::Status::OK;
  }

  grpc::Status RenewLease(grpc::ServerContext*, const v1::RenewLeaseRequest* request,
                          v1::RenewLeaseReply* reply) override {
    const std::lock_guard lock(mutex_);
    if (request->lease_id() != lease_) {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "over");
    }
    reply->set_ttl_ms(ttl_.count());
    reply->set_give_back(!queue_.empty());
    has_asked_ = reply->give_back();
    changed_.notify_all();
    return grpc::Status::OK;
  }

  grpc::Status ReleaseLease(grpc::ServerContext*, const v1::ReleaseLeaseRequest* request,
                            v1::ReleaseLeaseReply*) override {
    const std::lock_guard lock(mutex_);
    std::erase(queue_, request->lease_id());
    if (request->lease_id() == lease_) {
      device_.fence().Revoke(epoch_);
      lease_.clear();
      holder_.clear();
    }
    changed_.notify_all();
    return grpc::Status::OK;
  }

  grpc::Status ListDevices(grpc::ServerContext*, const v1::ListDevicesRequest*,
                           v1::ListDevicesReply* reply) override {
    const std::lock_guard lock(mutex_);
    v1::DeviceEntry& entry = *reply->add_devices();
    entry.set_name(device_.identity().name);
    entry.set_target(testing::SyntheticTask().target().name);
    entry.set_state(lease_.empty() ? v1::DeviceEntry::STATE_FREE : v1::DeviceEntry::STATE_LEASED);
    entry.set_client(holder_);
    entry.set_time_kind("measured");
    return grpc::Status::OK;
  }

  // Who had the device, in order.
  std::vector<std::string> holders() const {
    const std::lock_guard lock(mutex_);
    return holders_;
  }
  // Until the device is asked back from who has it, or nobody will wait for it any more. False: it
  // is not.
  bool AwaitAsking() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return has_asked_ || is_quiet_; });
  }
  void NobodyWaitsAnyMore() {
    const std::lock_guard lock(mutex_);
    is_quiet_ = true;
    changed_.notify_all();
  }

 private:
  FakeDevice& device_;
  const milliseconds ttl_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::string> queue_;
  std::string lease_, holder_;
  std::uint64_t epoch_ = 0;
  bool has_asked_ = false, is_quiet_ = false;
  std::vector<std::string> holders_;
};

class SyntheticBuilder final : public Builder {
 public:
  StatusOr<std::variant<Artifact, BuildFailure>> Build(const Task& task,
                                                       const Config& config) override {
    const std::string bytes = "object of " + task.space().Id(config);
    return std::variant<Artifact, BuildFailure>(
        Artifact{std::make_shared<const std::string>(bytes), "kiln_1", 1, Digest(bytes)});
  }
};

// A tuner, as far as the tracker sees.
struct Client {
  Client(Reactor& reactor, const std::string& tracker, const std::string& name)
      : pool(*ConnectTracker(reactor, tracker, {name})),
        measurer(NewPipelineMeasurer(builder, *pool, SystemClock(), {.devices = 3})) {}

  SyntheticBuilder builder;
  const std::unique_ptr<DevicePool> pool;
  const std::unique_ptr<Measurer> measurer;
};

class SharingTest : public ::testing::Test {
 protected:
  static constexpr int kTrials = 30;  // of each client

  Client NewClient(const std::string& name) { return Client(*reactor_, server_->address(), name); }
  // The trials of a client, when all are made.
  std::vector<StatusOr<Trial>> Measure(Client& client) {
    std::vector<std::promise<StatusOr<Trial>>> promises(kTrials);
    for (std::size_t i = 0; i < promises.size(); ++i) {
      client.measurer->Submit(
          {task_, task_.space().At(i), {RunCase{}}, {}, {}},
          [&promises, i](StatusOr<Trial> trial) { promises[i].set_value(std::move(trial)); });
    }
    std::vector<StatusOr<Trial>> trials;
    for (auto& promise : promises) trials.push_back(promise.get_future().get());
    tracker_.NobodyWaitsAnyMore();
    return trials;
  }

  const Task task_ = testing::SyntheticTask();
  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  // A kernel that ends when the device is asked back.
  FakeDevice device_{[this](const HostRequest& request) {
    EXPECT_TRUE(tracker_.AwaitAsking());
    return SampleReply(request);
  }};
  AskingTracker tracker_{device_, milliseconds(30)};
  const std::unique_ptr<RpcServer> server_ = *Listen({}, {&tracker_});
};

TEST_F(SharingTest, TwoClientsTakeTurnsAtTheBoundariesOfTrials) {
  Client ann = NewClient("ann"), bob = NewClient("bob");
  auto anns = std::async(std::launch::async, [&] { return Measure(ann); });
  auto bobs = std::async(std::launch::async, [&] { return Measure(bob); });
  for (auto* trials : {&anns, &bobs}) {
    for (const StatusOr<Trial>& trial : trials->get()) {
      ASSERT_TRUE(trial.ok()) << trial.status();
      EXPECT_TRUE(std::holds_alternative<Timings>(trial->outcome));
    }
  }
  const std::vector<std::string> holders = tracker_.holders();
  // Who gives way is served next; now and then the other has taken its request back just then.
  std::size_t repeated = 0;
  for (std::size_t i = 1; i < holders.size(); ++i) repeated += holders[i] == holders[i - 1];
  EXPECT_LE(repeated, holders.size() / 4);
  EXPECT_GE(holders.size(), kTrials / 2) << "turns are of many trials";
}

TEST_F(SharingTest, StoppedPoolsLeaseIsNotWantedBack) {
  Client ann = NewClient("ann"), bob = NewClient("bob");
  const auto lease = ann.pool->Acquire(task_.target(), TimeKind::kMeasured, kPatience);
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_FALSE((*lease)->is_wanted_back());
  auto waiting = std::async(std::launch::async, [&] {
    return bob.pool->Acquire(task_.target(), TimeKind::kMeasured, kPatience).status();
  });
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!(*lease)->is_wanted_back() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_TRUE((*lease)->is_wanted_back());
  ann.pool->StopWaiting();
  EXPECT_FALSE((*lease)->is_wanted_back());
  bob.pool->StopWaiting();
  EXPECT_EQ(waiting.get().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace kiln
