#include "rpc_server/measure_queue.h"

#include <condition_variable>
#include <deque>
#include <iterator>
#include <memory>
#include <mutex>
#include <stop_token>
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

  // While one kernel runs for minutes, clients come and go, and leave their jobs. A job is asked
  // without a lock: its answer may end its call, and gRPC come back here with news of another one on
  // the same thread. One sweep at a time keeps the order of the jobs.
  void DropUnwanted() override {
    {
      std::lock_guard lock(mutex_);
      sweep_again_ = sweeping_;
      if (std::exchange(sweeping_, true)) return;
    }
    while (Sweep()) {
    }
  }

 private:
  struct Running {
    MeasureJob job;
    std::stop_source stop;
  };

  // Whether there is another one to make.
  bool Sweep() {
    std::deque<MeasureJob> jobs;
    std::shared_ptr<Running> running;
    {
      std::lock_guard lock(mutex_);
      jobs.swap(jobs_);
      running = running_;
    }
    std::erase_if(jobs, [](const MeasureJob& job) { return !job.wanted(); });
    if (running && !running->job.wanted()) running->stop.request_stop();
    std::lock_guard lock(mutex_);
    // What came meanwhile came later.
    std::move(jobs_.begin(), jobs_.end(), std::back_inserter(jobs));
    jobs_ = std::move(jobs);
    changed_.notify_one();
    sweeping_ = std::exchange(sweep_again_, false);
    return sweeping_;
  }

  void Work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      // A sweep has jobs in hand that came before those which are here.
      changed_.wait(lock, [this] { return stopping_ || (!jobs_.empty() && !sweeping_); });
      if (stopping_) return;
      auto running = running_ = std::make_shared<Running>(Running{std::move(jobs_.front()), {}});
      jobs_.pop_front();
      lock.unlock();
      HostReply reply;
      const bool wanted = Do(*running, reply);
      lock.lock();
      running_.reset();
      lock.unlock();
      if (wanted) running->job.done(std::move(reply));
      running.reset();  // its callbacks may hold the last reference to a call
      lock.lock();
    }
  }

  // False: it is not wanted.
  bool Do(Running& running, HostReply& reply) {
    MeasureJob& job = running.job;
    if (const Status taken = cores_->Take(); !taken.ok()) {
      reply.outcome = Failure{Stage::kDevice, FailureKind::kDeviceLost, Message(taken)};
      return true;
    }
    const bool wanted = job.wanted();
    if (wanted) {
      job.request.object = *job.object;
      reply = host_->Run(job.request, running.stop.get_token());
    }
    cores_->Give();
    return wanted;
  }

  const std::unique_ptr<HostProcess> host_;
  const std::unique_ptr<CoreLock> cores_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<MeasureJob> jobs_;
  std::shared_ptr<Running> running_;
  bool sweeping_ = false, sweep_again_ = false;
  bool stopping_ = false;
  std::thread thread_{[this] { Work(); }};
};

}  // namespace

std::unique_ptr<MeasureQueue> NewMeasureQueue(std::unique_ptr<HostProcess> host,
                                              std::unique_ptr<CoreLock> cores) {
  return std::make_unique<ThreadMeasureQueue>(std::move(host), std::move(cores));
}

}  // namespace kiln
