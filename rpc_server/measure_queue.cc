#include "rpc_server/measure_queue.h"

#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

namespace kiln {
namespace {

class ThreadMeasureQueue final : public MeasureQueue {
 public:
  ThreadMeasureQueue(std::unique_ptr<HostProcess> host, std::unique_ptr<CoreLock> cores)
      : host_(std::move(host)), cores_(std::move(cores)) {}

  ~ThreadMeasureQueue() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void Submit(MeasureJob job) override {
    DropUnwanted();
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
  }

 private:
  // While one kernel runs for minutes, clients come and go, and leave their jobs.
  void DropUnwanted() {
    std::lock_guard one_at_a_time(drop_mutex_);
    std::deque<MeasureJob> jobs;
    {
      std::lock_guard lock(mutex_);
      jobs.swap(jobs_);
    }
    std::erase_if(jobs, [](const MeasureJob& job) { return !job.wanted(); });
    {
      std::lock_guard lock(mutex_);
      // What came meanwhile came later.
      std::move(jobs_.begin(), jobs_.end(), std::back_inserter(jobs));
      jobs_ = std::move(jobs);
    }
    changed_.notify_one();
  }

  void Work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      MeasureJob job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      Do(job);
      job = {};  // its callbacks may hold the last reference to a call
      lock.lock();
    }
  }

  void Do(MeasureJob& job) {
    if (const Status taken = cores_->Take(); !taken.ok()) {
      HostReply reply;
      reply.outcome = Failure{Stage::kDevice, FailureKind::kDeviceLost, Message(taken)};
      return job.done(std::move(reply));
    }
    if (!job.wanted()) return cores_->Give();
    job.request.object = *job.object;
    HostReply reply = host_->Run(job.request);
    cores_->Give();
    job.done(std::move(reply));
  }

  const std::unique_ptr<HostProcess> host_;
  const std::unique_ptr<CoreLock> cores_;
  std::mutex drop_mutex_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<MeasureJob> jobs_;
  bool stopping_ = false;
  std::thread thread_{[this] { Work(); }};
};

}  // namespace

std::unique_ptr<MeasureQueue> NewMeasureQueue(std::unique_ptr<HostProcess> host,
                                              std::unique_ptr<CoreLock> cores) {
  return std::make_unique<ThreadMeasureQueue>(std::move(host), std::move(cores));
}

}  // namespace kiln
