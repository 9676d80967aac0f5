#include "apps/kiln/top_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "apps/kiln/device_trouble.h"
#include "apps/kiln/tuning_picture.h"
#include "base/clock.h"
#include "dashboard/words.h"

namespace kiln {
namespace {

using Kind = TopLine::Kind;
constexpr auto kRight = Table::Align::kRight;
constexpr auto kLeft = Table::Align::kLeft;

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kStaleMs = 15'000;  // a place that answers does so more often
constexpr std::size_t kMostEnded = 3;

// "12s", "5m", "3h", "2d": narrow.
std::string Age(std::int64_t ms) {
  const std::string span = SpanText(ms);
  return span.substr(0, span.find_first_not_of("0123456789") + 1);
}

template <typename T>
const T* LastOf(const std::optional<Heard<T>>& heard) {
  return heard && heard->last ? &*heard->last : nullptr;
}

// Of a place that has not answered of late: "STALE, as of 12s ago (2026-...): nothing answers".
template <typename T>
void AddStaleness(const Heard<T>& heard, std::int64_t now_ms, TopSection& section) {
  const bool late = now_ms - heard.at_ms > kStaleMs;
  if (heard.trouble.ok() && !late) return;
  const std::string why = heard.trouble.ok() ? "no answer since" : Message(heard.trouble);
  section.notes.insert(section.notes.begin(),
                       {"STALE, as of " + AgoText(heard.at_ms, now_ms) + ": " + why, Kind::kBad});
}

// What `draw` makes of what was heard, or why there is nothing.
template <typename T, typename Draw>
TopSection SectionOf(const std::string& name, const std::string& absent,
                     const std::optional<Heard<T>>& heard, std::int64_t now_ms, Draw draw) {
  if (!heard) return {.heading = name, .empty = absent};
  if (!heard->last) return {.heading = name, .empty = Message(heard->trouble)};
  TopSection section = draw(*heard->last);
  AddStaleness(*heard, now_ms, section);
  return section;
}

// ---- devices

// Those that the database knows come last.
const std::vector<TopColumn> kDeviceColumns{
    {"device", kLeft, 9, 12}, {"state", kLeft, 8},   {"temp", kRight, 7}, {"load", kRight, 6},
    {"hour", kRight, 4},      {"failed", kRight, 4}, {"last", kRight, 6}};
const std::vector<TopColumn> kFarmColumns{{"target", kLeft, 3, 10}, {"who or why", kLeft, 9, 20}};

TopSection::Row DeviceRow(const std::string& name, const std::string& state,
                          const DeviceReading* reading, std::int64_t now_ms) {
  TopSection::Row row{.cells = {name, state}, .name = name, .state = state};
  if (reading == nullptr) {
    row.cells.resize(kDeviceColumns.size(), "-");
    return row;
  }
  row.trials = reading->since;
  row.cells.insert(
      row.cells.end(),
      {reading->temperature_c > 0 ? fmt::format("{:.0f} C", reading->temperature_c) : "-",
       reading->load > 0 ? fmt::format("{:.2f}", reading->load) : "-", CountText(reading->since),
       CountText(reading->failed_since), Age(now_ms - reading->last_ms)});
  return row;
}

std::string WhyOf(const DeviceInfo& device) {
  std::string why = TroubleOf(device);
  if (!device.client.empty()) why = "has " + device.client + (why.empty() ? "" : "; " + why);
  return why.empty() ? "-" : why;
}

TopSection FarmSection(const FarmInfo& farm, const StoreFacts* store, std::int64_t now_ms) {
  TopSection section{.heading = fmt::format("Devices: {}; {} waiting for one", farm.devices.size(),
                                            CountedText(farm.waiting, "client")),
                     .columns = kDeviceColumns,
                     .empty = "none registered: `kiln-server --tracker ADDRESS` makes one"};
  section.columns.insert(section.columns.end(), kFarmColumns.begin(), kFarmColumns.end());
  for (const DeviceInfo& device : farm.devices) {
    const DeviceReading* reading = nullptr;
    if (store != nullptr) {
      const auto found = std::ranges::find(store->devices, device.name, &DeviceReading::device);
      if (found != store->devices.end()) reading = &*found;
    }
    TopSection::Row row = DeviceRow(device.name, device.state, reading, now_ms);
    row.cells.insert(row.cells.end(), {device.target, WhyOf(device)});
    if (device.state == "leased") row.kind = Kind::kBusy;
    if (device.state == "quarantined" || device.state == "lost") row.kind = Kind::kBad;
    section.rows.push_back(std::move(row));
  }
  return section;
}

// What a database has of devices: what they did, not what they do.
TopSection ReadingSection(const StoreFacts& store, std::int64_t now_ms) {
  TopSection section{
      .heading = "Devices, as the database has them (--tracker ADDRESS: as they are)",
      .columns = kDeviceColumns,
      .empty = "none has measured anything yet"};
  for (const DeviceReading& reading : store.devices) {
    if (reading.device.empty()) continue;
    const bool busy = now_ms - reading.last_ms < kMinuteMs;
    TopSection::Row row = DeviceRow(reading.device, busy ? "measures" : "silent", &reading, now_ms);
    if (busy) row.kind = Kind::kBusy;
    section.rows.push_back(std::move(row));
  }
  return section;
}

// ---- queue

TopSection DrawQueue(const QueueFacts& queue) {
  TopSection section{
      .heading = fmt::format("Queue: {} waiting or running",
                             CountedText(std::ssize(queue.jobs) + queue.left_off, "job")),
      .columns = {{"id", kRight, 8},
                  {"state", kLeft, 9},
                  {"name", kLeft, 9, 10},
                  {"user", kLeft, 4, 6},
                  {"target", kLeft, 3, 8},
                  {"trials", kRight, 7},
                  {"left", kRight, 8},
                  {"why", kLeft, 9, 20}},
      .empty = "no job waits or runs: `kiln submit` makes one"};
  for (const std::string& window : queue.windows) section.notes.push_back({"window " + window});
  for (const QueueFacts::Job& job : queue.jobs) {
    TopSection::Row row{.name = job.name, .state = job.state, .trials = job.trials};
    row.cells = {std::to_string(job.id),
                 job.state,
                 job.name,
                 job.user,
                 job.target,
                 job.progress,
                 job.left_ms ? SpanText(*job.left_ms) : "-",
                 job.why};
    if (job.state == "running" || job.state == "finishing") row.kind = Kind::kBusy;
    section.rows.push_back(std::move(row));
  }
  return section;
}

// ---- tasks

// "; on native, 1 thread: 1.543 -> 1.234 ms in the hour, 1.25x" where all are of one place, so that
// their times may be added up.
std::string SumOf(const StoreFacts& store) {
  double before_ns = 0, now_ns = 0;
  for (const StoreFacts::Task& task : store.tasks) {
    if (!task.gain || task.setting != store.tasks[0].setting) return "";
    now_ns += task.best_ns;
    before_ns += *task.gain * task.best_ns;
  }
  if (now_ns <= 0 || store.active_tasks != std::ssize(store.tasks)) return "";
  const bool ms = now_ns >= 1e5;
  const auto text = ms ? MillisecondsText : MicrosecondsText;
  return fmt::format("; {} -> {} {} together, {}", text(before_ns), text(now_ns), ms ? "ms" : "us",
                     GainText(before_ns / now_ns));
}

TopSection DrawTasks(const StoreFacts& store, std::int64_t now_ms, const SparkStyle& sparks) {
  const bool failed = std::ranges::any_of(
      store.tasks, [](const StoreFacts::Task& task) { return task.failed > 0; });
  TopSection section{.heading = fmt::format("Tasks of the last hour: {}", store.active_tasks),
                     .columns = {{"layer", kLeft, 9, 14},
                                 {"where", kLeft, 1, 10},
                                 {"trials", kRight, 6},
                                 {"hour", kRight, 5},
                                 {"failed", kRight, failed ? 7 : 2},
                                 {"best us", kRight, 8},
                                 {"gain/h", kRight, 8},
                                 {"best so far", kLeft, 7},
                                 {"flat", kRight, 3},
                                 {"last", kRight, 4}},
                     .empty = store.trials > 0 ? "no trial in the last hour: `kiln history` and "
                                                 "`kiln best` show what there is"
                                               : "no trials yet: `kiln tune` makes some"};
  section.heading += SumOf(store);
  for (const StoreFacts::Task& task : store.tasks) {
    const std::string spark = Sparkline(task.curve, sparks.width, sparks.unicode);
    TopSection::Row row{.name = task.layer, .state = task.setting, .trials = task.trials};
    row.cells = {task.layer,
                 task.setting,
                 CountText(task.trials),
                 CountText(task.recent),
                 CountText(task.failed),
                 task.best_ns > 0 ? MicrosecondsText(task.best_ns) : "-",
                 GainText(task.gain),
                 spark.empty() ? "-" : spark,
                 task.best_ns > 0 ? CountText(task.flat) : "-",
                 Age(now_ms - task.last_ms)};
    if (now_ms - task.last_ms < kMinuteMs) row.kind = Kind::kBusy;
    section.rows.push_back(std::move(row));
  }
  if (const std::int64_t more = store.active_tasks - std::ssize(store.tasks); more > 0) {
    section.notes.push_back({fmt::format("the latest {}; {} more", store.tasks.size(), more)});
  }
  return section;
}

// ---- verdict

void AddQueueVerdict(const QueueFacts& queue, std::vector<std::string>& parts,
                     TopSection& section) {
  const auto failed = std::ranges::count_if(queue.ended, &QueueFacts::EndedJob::failed);
  parts.push_back(fmt::format("day: {} done, {} failed",
                              CountedText(std::ssize(queue.ended) - failed, "job"), failed));
  for (const std::string& trouble : queue.troubles) {
    section.notes.push_back({"trouble: " + trouble, Kind::kBad});
  }
  for (std::size_t i = 0; i < std::min(kMostEnded, queue.ended.size()); ++i) {
    const QueueFacts::EndedJob& job = queue.ended[i];
    section.notes.push_back({job.text, job.failed ? Kind::kBad : Kind::kPlain});
  }
  if (queue.ended.size() > kMostEnded) {
    section.notes.push_back(
        {fmt::format("and {} before: `kiln jobs --all`", queue.ended.size() - kMostEnded)});
  }
}

void AddStoreVerdict(const StoreFacts& store, std::vector<std::string>& parts,
                     TopSection& section) {
  parts.push_back(fmt::format("hour: {} measured, {} failed; {}", CountText(store.measured),
                              CountText(store.failed), CountedText(store.trials, "trial")));
  if (store.failure.empty()) return;
  section.notes.push_back({"trouble: all that ran in the last hour failed, most often with " +
                               Shortened(store.failure, 300),
                           Kind::kBad});
}

}  // namespace

TopSection VerdictSection(const TopFacts& facts) {
  TopSection section;
  std::vector<std::string> parts;
  if (const QueueFacts* queue = LastOf(facts.queue)) AddQueueVerdict(*queue, parts, section);
  if (const StoreFacts* store = LastOf(facts.store)) AddStoreVerdict(*store, parts, section);
  section.heading = fmt::format("Last {}", fmt::join(parts, "; "));
  if (!parts.empty()) return section;
  section.heading = facts.queue || facts.store
                        ? "What became of it is not known: see below"
                        : "What became of it is not known here: --daemon ADDRESS or --db FILE "
                          "shows it";
  return section;
}

TopSection DeviceSection(const TopFacts& facts) {
  const StoreFacts* store = LastOf(facts.store);
  if (!facts.farm && store != nullptr) {
    TopSection section = ReadingSection(*store, facts.at_ms);
    AddStaleness(*facts.store, facts.at_ms, section);
    return section;
  }
  return SectionOf("Devices", "not known here: --tracker ADDRESS shows them", facts.farm,
                   facts.at_ms,
                   [&](const FarmInfo& farm) { return FarmSection(farm, store, facts.at_ms); });
}

TopSection QueueSection(const TopFacts& facts) {
  return SectionOf("Queue", "not known here: --daemon ADDRESS or --db FILE shows it", facts.queue,
                   facts.at_ms, DrawQueue);
}

TopSection TaskSection(const TopFacts& facts, const SparkStyle& sparks) {
  return SectionOf("Tasks", "not known here: --db FILE shows them", facts.store, facts.at_ms,
                   [&](const StoreFacts& store) { return DrawTasks(store, facts.at_ms, sparks); });
}

}  // namespace kiln
