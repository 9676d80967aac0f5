#include "dashboard/words.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "ops/workload_key.h"
#include "ops/workload_words.h"

namespace kiln {

std::string MicrosecondsText(double ns) { return fmt::format("{:.2f}", ns / 1e3); }

std::string MillisecondsText(double ns) { return fmt::format("{:.3f}", ns / 1e6); }

std::string GainText(std::optional<double> gain) {
  return gain ? fmt::format("{:.2f}x", *gain) : "-";
}

std::string ShareText(std::optional<double> share) {
  return share ? fmt::format("{:.0f}%", 100 * *share) : "-";
}

std::string BytesText(std::int64_t bytes) {
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  if (bytes < 1'000'000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
  if (bytes < 1'000'000'000) return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

std::string CountText(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::ptrdiff_t first = count < 0 ? 1 : 0;
  for (std::ptrdiff_t at = std::ssize(digits) - 3; at > first; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

std::string CountedText(std::int64_t count, std::string_view thing) {
  return fmt::format("{} {}{}", CountText(count), thing, count == 1 ? "" : "s");
}

std::string SpanText(std::int64_t ms) {
  const std::int64_t s = std::max<std::int64_t>(0, ms / 1000);
  if (s >= 86400) return fmt::format("{}d{}h", s / 86400, s / 3600 % 24);
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return s >= 60 ? fmt::format("{}m{:02}s", s / 60, s % 60) : fmt::format("{}s", s);
}

std::string AgoText(std::int64_t ms, std::int64_t now_ms) {
  if (ms == 0) return "never";
  return fmt::format("{} ago ({})", SpanText(now_ms - ms), FormatTime(ms));
}

std::string SettingText(const TaskNames& task) {
  return fmt::format("{}, {}{}", task.target, CountedText(task.threads, "thread"),
                     task.cache == CacheState::kCold ? ", cold caches" : "");
}

std::string WorkloadText(const std::string& key) {
  const StatusOr<Workload> workload = ParseWorkload(key);
  return workload.ok() ? Describe(*workload) : key;
}

std::string Shortened(std::string_view text, std::size_t most) {
  const std::string_view line = text.substr(0, text.find('\n'));
  if (line.size() <= most) return std::string(line) + (line.size() < text.size() ? " ..." : "");
  std::size_t end = most;
  // Not within a character of UTF-8.
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
  return std::string(line.substr(0, end)) + "...";
}

}  // namespace kiln
