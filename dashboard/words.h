#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "db/trial_statistics.h"

// How numbers and names are said to people: the same in every face.

namespace kiln {

std::string MicrosecondsText(double ns);  // "12.34": microseconds, without the unit
std::string MillisecondsText(double ns);  // "1.234"
// A gain and a share (measure/figures.h): "1.50x", "63%" for 0.63; "-": it is not known.
std::string GainText(std::optional<double> gain);
std::string ShareText(std::optional<double> share);
std::string BytesText(std::int64_t bytes);  // "12.3 MB": powers of ten
std::string CountText(std::int64_t count);  // "100,000"
// "3 layers", "1 layer".
std::string CountedText(std::int64_t count, std::string_view thing);
// "2h05m", "4m10s", "12s", "3d4h"; of a negative time "0s".
std::string SpanText(std::int64_t ms);
// "2h05m ago (2026-11-27T05:10:00Z)"; "never" for a time of 0.
std::string AgoText(std::int64_t ms, std::int64_t now_ms);

// "native, 2 threads", "rasp4b, 1 thread, cold caches": where a task runs.
std::string SettingText(const TaskNames& task);
// The name of a workload for people; a key that this version cannot read as it is.
std::string WorkloadText(const std::string& key);
// At most `most` bytes of the first line, whole characters, "..." where something is missing.
std::string Shortened(std::string_view text, std::size_t most);

}  // namespace kiln
