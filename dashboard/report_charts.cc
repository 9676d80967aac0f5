// The views that have charts, what the database says of itself, and the table that all are made of.

#include <fmt/format.h>

#include "base/clock.h"
#include "dashboard/report_parts.h"
#include "dashboard/svg_chart.h"
#include "dashboard/words.h"

namespace kiln {
namespace {

using Look = PageCell::Look;
using enum PageColumn::Kind;

// Of a curve's table: the last gains say whether more trials are worthwhile.
constexpr std::size_t kMostGainRows = 8;

void WriteCell(HtmlWriter& html, const PageCell& cell, bool is_number) {
  if (cell.write) {
    cell.write(html);
  } else if (cell.look == Look::kCode) {
    html.Element("code", cell.text);
  } else if (cell.look == Look::kPlain || is_number) {
    html.Text(cell.text);
  } else {
    html.Element("span", cell.text, {{"class", cell.look == Look::kGood ? "good" : "bad"}});
  }
}

void WriteRow(HtmlWriter& html, const PageTable& table, const std::vector<PageCell>& row) {
  html.Open("tr");
  for (std::size_t i = 0; i < row.size(); ++i) {
    const PageColumn::Kind kind = table.columns[i].kind;
    const bool is_number = kind == kNumber;
    if (i == 0) {
      html.Open("th", {{"scope", "row"}});
    } else if (is_number) {
      const bool is_bad = row[i].look == Look::kBad;
      html.Open("td", {{"class", is_bad ? "n bad" : "n"}});
    } else if (kind == kWords) {
      html.Open("td", {{"class", "w"}});
    } else {
      html.Open("td");
    }
    WriteCell(html, row[i], is_number);
    html.Close();
  }
  html.Close();
}

std::string DriftText(const DevicesView::Row& row) {
  if (!row.drift) return "nothing was measured twice";
  return fmt::format("{:+.1f}% (median of {}, {})", 100 * (*row.drift - 1), row.repeated,
                     row.drift_is_recent ? "since then" : "all from before");
}

std::vector<PageCell> DeviceCells(const DevicesView::Row& row, std::int64_t now_ms) {
  return {{row.device},
          {CountText(row.since)},
          {CountText(row.failed_since)},
          {fmt::format("{:.1f}", row.timed_since_s)},
          {CountText(row.measurements)},
          {CountText(row.failed)},
          {fmt::format("{:.1f}", row.timed_s)},
          {SpanText(now_ms - row.last_ms) + " ago"},
          {row.hottest_c ? fmt::format("{:.0f}", *row.hottest_c) : "-"},
          {DriftText(row)}};
}

void WriteGains(HtmlWriter& html, const CurvesView::Curve& curve) {
  PageTable table{.caption = "Gains of " + curve.name,
                  .columns = {{"trial", kNumber}, {"us", kNumber}},
                  .rows = {}};
  const std::size_t count = curve.gains.size();
  const std::size_t first = count > kMostGainRows ? count - kMostGainRows : 0;
  for (std::size_t i = first; i < count; ++i) {
    table.rows.push_back({{CountText(static_cast<std::int64_t>(curve.gains[i].x))},
                          {MicrosecondsText(curve.gains[i].y)}});
  }
  html.Open("details");
  html.Element("summary", first > 0 ? fmt::format("the last {} of {} gains", kMostGainRows, count)
                                    : CountedText(static_cast<std::int64_t>(count), "gain"));
  WritePageTable(html, table);
  html.Close();
}

void WriteCurve(HtmlWriter& html, const CurvesView::Curve& curve) {
  StepChart chart{.title = "Best so far of " + curve.name,
                  .description = {},
                  .points = {},
                  .end = static_cast<double>(curve.trials)};
  const double first = curve.gains.front().y, last = curve.gains.back().y;
  chart.points = curve.gains;
  chart.first_label = MicrosecondsText(first) + " us";
  chart.last_label = MicrosecondsText(last) + " us";
  chart.end_label = CountedText(curve.trials, "trial");
  chart.description =
      fmt::format("From {} to {} microseconds within {}; {}.", MicrosecondsText(first),
                  MicrosecondsText(last), CountedText(curve.trials, "trial"), curve.why);
  html.Open("figure");
  html.Element("h3", curve.name);
  WriteStepChart(html, chart);
  html.Element("figcaption", fmt::format("{}; {}. On {}.", curve.setting, curve.why,
                                         curve.device.empty() ? "no device" : curve.device));
  WriteGains(html, curve);
  html.Close();
}

std::string BackupText(const StoreView& view, std::int64_t now_ms) {
  if (view.file.last_backup_ms) return AgoText(*view.file.last_backup_ms, now_ms);
  if (view.file.is_of_daemon)
    return "none by this daemon yet; `backup` in [maintenance] has one made";
  return "not known to a database; its daemon's log and metrics say it, `kiln db backup` makes one";
}

void WriteWriters(HtmlWriter& html, const StoreView& view, std::int64_t now_ms) {
  if (view.writers.empty()) {
    html.Element("p", "Nobody has written trials yet.");
    return;
  }
  PageTable table{.caption = fmt::format("The newest of {} that wrote trials",
                                         CountedText(view.sessions, "session")),
                  .columns = {{"started"}, {"trials", kNumber}, {"host"}, {"command", kWords}},
                  .rows = {}};
  for (const StoreView::Writer& writer : view.writers) {
    table.rows.push_back({{SpanText(now_ms - writer.started_ms) + " ago"},
                          {CountText(writer.trials)},
                          {writer.host},
                          {writer.command, Look::kCode}});
  }
  WritePageTable(html, table);
}

}  // namespace

void WritePageTable(HtmlWriter& html, const PageTable& table) {
  const std::string caption = html.NewId("caption");
  html.Open(
      "div",
      {{"class", "scroll"}, {"role", "region"}, {"tabindex", "0"}, {"aria-labelledby", caption}});
  html.Open("table");
  html.Element("caption", table.caption, {{"id", caption}});
  html.Open("thead");
  html.Open("tr");
  for (const PageColumn& column : table.columns) {
    if (column.kind == kNumber) {
      html.Element("th", column.title, {{"scope", "col"}, {"class", "n"}});
    } else {
      html.Element("th", column.title, {{"scope", "col"}});
    }
  }
  html.Close();
  html.Close();
  html.Open("tbody");
  for (const std::vector<PageCell>& row : table.rows) WriteRow(html, table, row);
  html.Close();
  html.Close();
  html.Close();
}

void WriteDevices(HtmlWriter& html, const Dashboard& dashboard) {
  const DevicesView& view = dashboard.devices;
  if (view.rows.empty()) {
    html.Element("p", "No device has measured anything yet.");
  } else {
    PageTable table{.caption = "What devices did, from the whole database",
                    .columns = {{"device"},
                                {"since then", kNumber},
                                {"failed", kNumber},
                                {"timing s", kNumber},
                                {"ever", kNumber},
                                {"failed ever", kNumber},
                                {"timing s ever", kNumber},
                                {"last"},
                                {"hottest C", kNumber},
                                {"drift of what was measured again"}},
                    .rows = {}};
    for (const DevicesView::Row& row : view.rows) {
      table.rows.push_back(DeviceCells(row, dashboard.scope.now_ms));
    }
    WritePageTable(html, table);
  }
  if (view.left_out > 0) {
    html.Element("p", fmt::format("Left out: {} with fewer trials. `kiln db stats` shows all.",
                                  CountedText(view.left_out, "device")));
  }
  if (view.never_reached > 0) {
    html.Element("p", fmt::format("{} reached no device, as what does not compile.",
                                  CountedText(view.never_reached, "measurement")));
  }
  html.Element("p",
               "Timing is the time of kernels while they were timed, without compiling and "
               "verifying.",
               {{"class", "soft"}});
}

void WriteCurves(HtmlWriter& html, const Dashboard& dashboard) {
  const CurvesView& view = dashboard.curves;
  if (view.curves.empty()) {
    html.Element("p", "No curves yet: nothing has a time.");
    return;
  }
  html.Element("p",
               "The fastest config so far after each trial, of the layers that cost the most. What "
               "ended a tuning (its budget, its window) is with its job; here is what the trials "
               "say.");
  html.Open("div", {{"class", "multiples"}});
  for (const CurvesView::Curve& curve : view.curves) WriteCurve(html, curve);
  html.Close();
  if (view.left_out == 0) return;
  html.Element("p",
               fmt::format("Left out: {} that cost less. `kiln history --workload KEY` draws one.",
                           CountedText(static_cast<std::int64_t>(view.left_out), "curve")));
}

void WriteStore(HtmlWriter& html, const Dashboard& dashboard) {
  const StoreView& view = dashboard.store;
  const std::int64_t now_ms = dashboard.scope.now_ms;
  PageTable table{
      .caption = "The database", .columns = {{"what"}, {"how much", kWords}}, .rows = {}};
  table.rows = {{{"file"}, {view.file.path, Look::kCode}},
                {{"size"}, {BytesText(view.file.bytes)}},
                {{"write-ahead log"}, {BytesText(view.file.log_bytes)}},
                {{"last backup"}, {BackupText(view, now_ms)}},
                {{"tasks"}, {CountText(view.tasks)}},
                {{"trials"},
                 {fmt::format("{}, {} of them failed, {} since then", CountText(view.trials),
                              CountText(view.failed), CountText(view.since))}},
                {{"last trial"}, {AgoText(view.last_ms, now_ms)}}};
  if (!view.unknown.empty()) {
    table.rows.push_back({{"unknown workloads"},
                          {fmt::format("{}: keys that this Kiln cannot read, first {}",
                                       view.unknown.size(), view.unknown.front().workload),
                           Look::kBad}});
  }
  WritePageTable(html, table);
  WriteWriters(html, view, now_ms);
}

}  // namespace kiln
