#include "rpc_tracker/tracker_state.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/read_file.h"
#include "base/write_file.h"
#include "proto/transport.h"

namespace kiln {
namespace {

constexpr int kEpochBits = 40;
// Epochs are below 2^62.
constexpr std::uint64_t kMaxStarts = std::uint64_t{1} << (62 - kEpochBits);
// Of a quarantine: a table makes less of it.
constexpr std::chrono::hours kLongestLeft{24};

// devices.state: a line a device, "device NAME OWNER FAILURES UNTIL REASON", between these two. UNTIL is
// in ms since 1970, 0 for a device that is not in quarantine.
constexpr std::string_view kFirstLine = "kiln-devices 1";
constexpr std::string_view kLastLine = "end";
constexpr std::uint64_t kMaxRecordBytes = 64
                                          << 20;  // more than all devices that are remembered have

std::string WriteRecords(const DeviceRecords& records, const Clock& clock) {
  const SteadyTime now = clock.Now();
  const WallTime today = clock.Today();
  std::string text = std::string(kFirstLine) + "\n";
  for (const auto& [name, record] : records) {
    std::int64_t until = 0;
    if (record.until) {
      until = std::chrono::duration_cast<std::chrono::milliseconds>(today.time_since_epoch() +
                                                                    (*record.until - now))
                  .count();
    }
    text += "device " + name + " " + record.owner + " " + std::to_string(record.failures) + " " +
            std::to_string(std::max<std::int64_t>(until, 0)) + " " + record.reason + "\n";
  }
  return text + std::string(kLastLine) + "\n";
}

// The text up to the next such character, which is taken away with it; nullopt: there is none.
std::optional<std::string_view> Cut(std::string_view& text, char at) {
  const std::size_t end = text.find(at);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view cut = text.substr(0, end);
  text.remove_prefix(end + 1);
  return cut;
}

template <typename Number>
bool ReadNumber(std::optional<std::string_view> text, Number& number) {
  if (!text) return false;
  const auto [last, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  return error == std::errc() && last == text->data() + text->size() && number >= 0;
}

// Of one line. False: it is none.
bool ReadRecord(std::string_view line, const Clock& clock, DeviceRecords& records) {
  const auto key = Cut(line, ' '), name = Cut(line, ' '), owner = Cut(line, ' ');
  DeviceRecord record;
  std::int64_t until = 0;
  if (!key || *key != "device" || !name || !IsName(*name) || !owner || !IsText(*owner))
    return false;
  if (!ReadNumber(Cut(line, ' '), record.failures) || record.failures == 0) return false;
  if (!ReadNumber(Cut(line, ' '), until) || !IsText(line)) return false;
  record.owner = *owner;
  record.reason = line;
  if (until > 0) {
    const auto left =
        std::chrono::milliseconds(until) -
        std::chrono::duration_cast<std::chrono::milliseconds>(clock.Today().time_since_epoch());
    record.until = clock.Now() + std::min<std::chrono::milliseconds>(left, kLongestLeft);
  }
  return records.try_emplace(std::string(*name), std::move(record)).second;
}

StatusOr<DeviceRecords> ReadRecords(const std::string& path, const Clock& clock) {
  DeviceRecords records;
  if (!std::filesystem::exists(path)) return records;
  const StatusOr<std::vector<std::uint8_t>> bytes = ReadFile(path, kMaxRecordBytes);
  const std::string whole = bytes.ok() ? std::string(bytes->begin(), bytes->end()) : "";
  std::string_view text = whole;
  bool good = Cut(text, '\n') == kFirstLine, ended = false;
  while (good && !ended) {
    const auto line = Cut(text, '\n');
    ended = line == kLastLine;
    good = line && (ended || ReadRecord(*line, clock, records));
  }
  if (good && text.empty()) return records;
  return Error(StatusCode::kFailedPrecondition, path,
               " is damaged: delete it (which devices have failed lately is forgotten then)");
}

class OpenState final : public TrackerState {
 public:
  OpenState(int lock, std::string path, const Clock& clock)
      : lock_(lock), path_(std::move(path)), clock_(clock) {}
  ~OpenState() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
    close(lock_);
  }
  const std::string& path() const { return path_; }
  void Begin(std::uint64_t starts, DeviceRecords records) {
    starts_ = starts;
    records_ = std::move(records);
    thread_ = std::thread([this] { Write(); });
  }
  std::uint64_t first_epoch() const override { return starts_ << kEpochBits; }
  const DeviceRecords& records() const override { return records_; }
  void Keep(DeviceRecords records) override {
    {
      std::lock_guard lock(mutex_);
      pending_ = std::move(records);
    }
    changed_.notify_one();
  }

 private:
  void Write() {
    std::unique_lock lock(mutex_);
    bool failed = false;
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || pending_; });
      if (!pending_) return;
      const DeviceRecords records = *std::exchange(pending_, std::nullopt);
      lock.unlock();
      const Status status = ReplaceFile(path_, WriteRecords(records, clock_));
      if (!status.ok() && !failed) spdlog::error("{}", Message(status));
      failed = !status.ok();
      lock.lock();
    }
  }

  const int lock_;
  const std::string path_;  // of the records
  const Clock& clock_;
  std::uint64_t starts_ = 0;
  DeviceRecords records_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::optional<DeviceRecords> pending_;
  bool stopping_ = false;
  std::thread thread_;
};

// Of a file like "starts 12\n".
StatusOr<std::uint64_t> ReadStarts(const std::string& path) {
  if (!std::filesystem::exists(path)) return 0;
  const StatusOr<std::vector<std::uint8_t>> bytes = ReadFile(path, 4096);
  const std::string text = bytes.ok() ? std::string(bytes->begin(), bytes->end()) : "";
  constexpr std::string_view kKey = "starts ";
  std::uint64_t starts = 0;
  if (text.starts_with(kKey) && text.ends_with('\n')) {
    const char* const end = text.data() + text.size() - 1;
    const auto [last, error] = std::from_chars(text.data() + kKey.size(), end, starts);
    if (error == std::errc() && last == end && starts < kMaxStarts - 1) return starts;
  }
  return Error(
      StatusCode::kFailedPrecondition, path,
      " is damaged: write `starts N` into it, with an N above the number of times that this "
      "tracker was ever started (1000000 will do)");
}

}  // namespace

StatusOr<std::unique_ptr<TrackerState>> OpenTrackerState(const std::string& directory,
                                                         const Clock& clock) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return Error(StatusCode::kPermissionDenied, "cannot make the directory ", directory, ": ",
                 error.message());
  }
  const std::string lock_path = directory + "/tracker.lock", path = directory + "/tracker.state";
  const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) {
    return Error(StatusCode::kPermissionDenied, "cannot open ", lock_path, ": ",
                 std::strerror(errno));
  }
  auto state = std::make_unique<OpenState>(lock, directory + "/devices.state", clock);
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return Error(StatusCode::kFailedPrecondition, "another kiln-tracker uses ", directory);
  }
  ASSIGN_OR_RETURN(std::uint64_t starts, ReadStarts(path));
  ASSIGN_OR_RETURN(DeviceRecords records, ReadRecords(state->path(), clock));
  ++starts;
  RETURN_IF_ERROR(ReplaceFile(path, "starts " + std::to_string(starts) + "\n"));
  state->Begin(starts, std::move(records));
  return state;
}

}  // namespace kiln
