#include "apps/kiln/time_options.h"

#include <ctime>

#include "base/duration.h"

namespace kiln {

StatusOr<std::chrono::seconds> UntilTimeOfDay(const std::string& text, WallTime now) {
  ASSIGN_OR_RETURN(const int minute, ParseMinuteOfDay(text));
  if (minute == 24 * 60) {
    return Error(StatusCode::kInvalidArgument, "`", text, "` is not a time of day: write 00:00");
  }
  const std::time_t start = std::chrono::system_clock::to_time_t(now);
  std::tm local{};
  localtime_r(&start, &local);
  local.tm_hour = minute / 60;
  local.tm_min = minute % 60;
  local.tm_sec = 0;
  local.tm_isdst = -1;
  std::time_t end = std::mktime(&local);
  if (end <= start) {
    ++local.tm_mday;
    local.tm_isdst = -1;
    end = std::mktime(&local);
  }
  return std::chrono::seconds(end - start);
}

}  // namespace kiln
