#include "daemon/test_clock.h"

#include <atomic>
#include <cstdint>
#include <fstream>
#include <utility>

namespace kiln {
namespace {

using std::chrono::milliseconds;

class FileClock final : public Clock {
 public:
  explicit FileClock(std::string path) : path_(std::move(path)) {}

  SteadyTime Now() const override {
    Look();
    return std::chrono::steady_clock::now() + milliseconds(steady_.load());
  }
  WallTime Today() const override {
    Look();
    return std::chrono::system_clock::now() + milliseconds(civil_.load());
  }

 private:
  void Look() const {
    std::ifstream file(path_);
    std::int64_t civil = 0, steady = 0;
    if (!(file >> civil >> steady)) return;
    civil_ = civil;
    steady_ = steady;
  }

  const std::string path_;
  mutable std::atomic<std::int64_t> civil_{0}, steady_{0};
};

}  // namespace

std::unique_ptr<Clock> NewTestClock(const std::string& path) {
  return std::make_unique<FileClock>(path);
}

}  // namespace kiln
