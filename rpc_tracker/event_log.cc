#include "rpc_tracker/event_log.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace kiln {
namespace {

// A disk that does not take so many for so long is not waited for.
constexpr std::size_t kMaxWaiting = 50'000;  // some 20 MB

class FileEventLog final : public EventLog {
 public:
  FileEventLog(int file, std::string path, const Clock& clock)
      : file_(file), path_(std::move(path)), clock_(clock), thread_([this] { Run(); }) {}

  ~FileEventLog() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
    close(file_);
  }

  void Append(std::vector<LeaseEvent> events) override {
    if (events.empty()) return;
    {
      std::lock_guard lock(mutex_);
      const WallTime now = clock_.Today();
      for (LeaseEvent& event : events) {
        if (waiting_.size() >= kMaxWaiting) {
          ++lost_;
        } else {
          waiting_.emplace_back(now, std::move(event));
        }
      }
    }
    changed_.notify_one();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const auto events = std::exchange(waiting_, {});
      const std::size_t lost = std::exchange(lost_, 0);
      lock.unlock();
      std::string text;
      for (const auto& [time, event] : events) text += ToJsonLine(event, time) + "\n";
      if (lost > 0) text += R"({"event":"missing","count":)" + std::to_string(lost) + "}\n";
      Write(text);
      lock.lock();
    }
  }

  // Says once that it does not work.
  void Write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t size = write(file_, text.data(), text.size());
      if (size >= 0) {
        text.remove_prefix(static_cast<std::size_t>(size));
      } else if (errno != EINTR) {
        if (!failed_) spdlog::error("cannot write to {}: {}", path_, std::strerror(errno));
        failed_ = true;
        return;
      }
    }
    failed_ = false;
  }

  const int file_;
  const std::string path_;
  const Clock& clock_;
  bool failed_ = false;  // on the thread
  std::mutex mutex_;     // guards what follows
  std::condition_variable changed_;
  std::vector<std::pair<WallTime, LeaseEvent>> waiting_;
  std::size_t lost_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

StatusOr<std::unique_ptr<EventLog>> OpenEventLog(const std::string& path, const Clock& clock) {
  const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return Error(StatusCode::kPermissionDenied, "cannot write the event log ", path, ": ",
                 std::strerror(errno));
  }
  return std::make_unique<FileEventLog>(file, path, clock);
}

}  // namespace kiln
