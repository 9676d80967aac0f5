#include "apps/serving/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "apps/serving/log_line.h"

namespace kiln {
namespace {

constexpr int kPauseMs = 20;  // after a descriptor that was ready and took nothing

// A descriptor of our own, closed with it.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

// What is known of lines that were lost since a line has said so.
struct Lost {
  std::uint64_t unread = 0;
  std::uint64_t failed = 0;
  int error = 0;  // the first failure's
};

std::string Words(std::uint64_t lines, const std::string& why) {
  return Grouped(lines) + (lines == 1 ? " line lost: " : " lines lost: ") + why;
}

// The writer's state, which its thread holds too.
class Work {
 public:
  Work(int descriptor, LogRemark remark, const LogWriterOptions& options)
      : out_(fcntl(descriptor, F_DUPFD_CLOEXEC, 3)),
        stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        remark_(std::move(remark)),
        options_(options),
        limiter_(options.limits) {}

  bool Admit(LogClass kind, std::string_view text) {
    if (kind == LogClass::kError) return true;
    std::lock_guard lock(mutex_);
    const bool timed = limiter_.NextSum().has_value();
    const bool admitted = limiter_.Admit(std::chrono::steady_clock::now(), kind, text);
    if (!admitted && !timed) changed_.notify_one();  // it has a time to wait for now
    return admitted;
  }

  void Write(std::string line) {
    std::lock_guard lock(mutex_);
    Push(std::move(line));
    changed_.notify_one();
  }

  bool Flush(std::chrono::nanoseconds time) {
    std::unique_lock lock(mutex_);
    SayWhatWasLeftOut(SteadyTime::max());
    changed_.notify_one();
    return written_.wait_for(lock, time, [this] { return unwritten_ == 0; });
  }

  bool is_idle() const noexcept { return unwritten_ == 0; }

  // The thread ends as soon as it can.
  void Stop() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_one();
    const std::uint64_t one = 1;
    if (write(stop_.get(), &one, sizeof one) < 0) return;  // it is not waiting for the descriptor
  }

  // The thread.
  void Run() {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
      SayWhatWasLeftOut(std::chrono::steady_clock::now());
      if (lines_.empty()) {
        Await(lock);
      } else {
        WriteSome(lock);
      }
    }
  }

 private:
  void Await(std::unique_lock<std::mutex>& lock) {
    if (const auto next = limiter_.NextSum()) {
      changed_.wait_until(lock, *next);
    } else {
      changed_.wait(lock);
    }
  }

  // `time`: what is due by then.
  void SayWhatWasLeftOut(SteadyTime time) {
    for (const auto& [kind, text] : limiter_.TakeSums(time)) Push(remark_(kind, text));
  }

  void Push(std::string line) {
    bytes_ += line.size();
    lines_.push_back(std::move(line));
    for (; lines_.size() > options_.most_lines || bytes_ > options_.most_bytes; Pop()) {
      ++lost_.unread;
    }
    Count();
  }
  void Pop() {
    bytes_ -= lines_.front().size();
    lines_.pop_front();
  }

  // Writes as many lines as go at once, after what there is to say of those that were lost before.
  void WriteSome(std::unique_lock<std::mutex>& lock) {
    const Lost lost = std::exchange(lost_, {});
    std::string text = torn_ ? "\n" : "";
    if (lost.unread > 0) {
      text += remark_(LogClass::kWarning, Words(lost.unread, "nobody read the log"));
    }
    if (lost.failed > 0) {
      const std::string why = std::generic_category().message(lost.error);
      text += remark_(LogClass::kWarning, Words(lost.failed, why));
    }
    std::size_t count = 0;
    while (!lines_.empty() && (count == 0 || text.size() + lines_.front().size() <= PIPE_BUF)) {
      text += lines_.front();
      Pop();
      ++count;
    }
    under_way_ = count;
    Count();
    lock.unlock();
    const int error = WriteOut(text);
    lock.lock();
    under_way_ = 0;
    if (error != 0) {
      lost_.unread += lost.unread;
      lost_.failed += lost.failed + count;
      lost_.error = lost.error != 0 ? lost.error : error;
    }
    Count();
    if (unwritten_ == 0) written_.notify_all();
  }

  // Returns 0, or why not all of it could be written.
  int WriteOut(std::string_view text) {
    for (std::string_view rest = text; !rest.empty();) {
      pollfd ready[] = {{out_.get(), POLLOUT, 0}, {stop_.get(), POLLIN, 0}};
      if (poll(ready, 2, -1) < 0 && errno != EINTR) return errno;
      if (ready[1].revents != 0) return ECANCELED;
      if (ready[0].revents == 0) continue;
      const ssize_t n =
          write(out_.get(), rest.data(), std::min(rest.size(), std::size_t{PIPE_BUF}));
      if (n > 0) {
        rest.remove_prefix(static_cast<std::size_t>(n));
        torn_ = !rest.empty();
      } else if (n == 0 || errno == EAGAIN) {
        poll(&ready[1], 1, kPauseMs);
      } else if (errno != EINTR) {
        return errno;
      }
    }
    return 0;
  }

  void Count() { unwritten_ = lines_.size() + under_way_; }

  const Descriptor out_, stop_;
  const LogRemark remark_;
  const LogWriterOptions options_;
  bool torn_ = false;  // the thread's: a line has been written in part
  std::mutex mutex_;   // guards what follows
  std::condition_variable changed_, written_;
  LogLimiter limiter_;
  std::deque<std::string> lines_;
  std::size_t bytes_ = 0;      // of the lines
  std::size_t under_way_ = 0;  // lines that the thread is writing
  Lost lost_;
  bool stopped_ = false;
  std::atomic<std::size_t> unwritten_{0};  // lines; changed under the lock
};
static_assert(std::atomic<std::size_t>::is_always_lock_free, "signal handlers read it");

// Without signals: they are for the program's other threads.
void StartThread(const std::shared_ptr<Work>& work) {
  sigset_t all, former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  std::thread([work] { work->Run(); }).detach();
  pthread_sigmask(SIG_SETMASK, &former, nullptr);
}

class ThreadLogWriter final : public LogWriter {
 public:
  ThreadLogWriter(int descriptor, LogRemark remark, const LogWriterOptions& options)
      : ending_(options.ending),
        work_(std::make_shared<Work>(descriptor, std::move(remark), options)) {
    StartThread(work_);
  }
  ~ThreadLogWriter() override {
    work_->Flush(ending_);
    work_->Stop();
  }
  bool Admit(LogClass kind, std::string_view text) override { return work_->Admit(kind, text); }
  void Write(std::string line) override { work_->Write(std::move(line)); }
  bool Flush(std::chrono::nanoseconds time) override { return work_->Flush(time); }
  bool is_idle() const noexcept override { return work_->is_idle(); }

 private:
  const std::chrono::nanoseconds ending_;
  const std::shared_ptr<Work> work_;
};

}  // namespace

std::shared_ptr<LogWriter> NewLogWriter(int descriptor, LogRemark remark,
                                        const LogWriterOptions& options) {
  return std::make_shared<ThreadLogWriter>(descriptor, std::move(remark), options);
}

}  // namespace kiln
