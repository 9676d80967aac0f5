#include "rpc_tracker/tracker_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/read_file.h"
#include "base/write_file.h"

namespace kiln {
namespace {

constexpr int kEpochBits = 40;
// Epochs are below 2^62.
constexpr std::uint64_t kMaxStarts = std::uint64_t{1} << (62 - kEpochBits);

class OpenState final : public TrackerState {
 public:
  explicit OpenState(int lock) : lock_(lock) {}
  ~OpenState() override { close(lock_); }
  void set_starts(std::uint64_t starts) { starts_ = starts; }
  std::uint64_t first_epoch() const override { return starts_ << kEpochBits; }

 private:
  const int lock_;
  std::uint64_t starts_ = 0;
};

// Of a file like "starts 12\n".
StatusOr<std::uint64_t> ReadStarts(const std::string& path) {
  if (!std::filesystem::exists(path)) return 0;
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(path, 4096));
  const std::string text(bytes.begin(), bytes.end());
  constexpr std::string_view kKey = "starts ";
  std::uint64_t starts = 0;
  if (text.starts_with(kKey) && text.ends_with('\n')) {
    const char* const end = text.data() + text.size() - 1;
    const auto [last, error] = std::from_chars(text.data() + kKey.size(), end, starts);
    if (error == std::errc() && last == end && starts < kMaxStarts - 1) return starts;
  }
  return Error(StatusCode::kFailedPrecondition, path,
               " is damaged: write `starts N` into it, with an N above the number of times that this "
               "tracker was ever started (1000000 will do)");
}

}  // namespace

StatusOr<std::unique_ptr<TrackerState>> OpenTrackerState(const std::string& directory) {
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
  auto state = std::make_unique<OpenState>(lock);
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return Error(StatusCode::kFailedPrecondition, "another kiln-tracker uses ", directory);
  }
  ASSIGN_OR_RETURN(std::uint64_t starts, ReadStarts(path));
  ++starts;
  RETURN_IF_ERROR(ReplaceFile(path, "starts " + std::to_string(starts) + "\n"));
  state->set_starts(starts);
  return state;
}

}  // namespace kiln
