#include "rpc_client/back_off.h"

#include <algorithm>
#include <utility>

namespace kiln {

BackOff::BackOff(std::function<double()> random) : BackOff(std::move(random), Options()) {}

BackOff::BackOff(std::function<double()> random, const Options& options)
    : random_(std::move(random)), options_(options), limit_(options.first) {}

std::chrono::nanoseconds BackOff::Next() {
  const std::chrono::nanoseconds limit = limit_;
  limit_ = std::min(2 * limit_, options_.longest);
  if (!random_) return limit;
  const double pause = random_() * static_cast<double>(limit.count());
  return std::chrono::nanoseconds(static_cast<std::chrono::nanoseconds::rep>(pause));
}

}  // namespace kiln
