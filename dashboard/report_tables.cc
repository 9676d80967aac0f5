// The views that are tables: what to read first.

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "dashboard/report_parts.h"
#include "dashboard/svg_chart.h"
#include "dashboard/words.h"

namespace kiln {
namespace {

using Look = PageCell::Look;
using enum PageColumn::Kind;

constexpr std::size_t kMostBars = 12;

struct Fact {
  std::string name, value;
};
void WriteFacts(HtmlWriter& html, const std::vector<Fact>& facts) {
  html.Open("dl", {{"class", "facts"}});
  for (const Fact& fact : facts) {
    html.Open("div");
    html.Element("dt", fact.name);
    html.Element("dd", fact.value);
    html.Close();
  }
  html.Close();
}

std::string TimeOrDash(std::optional<double> ns) { return ns ? MicrosecondsText(*ns) : "-"; }
std::string GainOrDash(std::optional<double> gain) { return gain ? GainText(*gain) : "-"; }

std::string JobsText(const VerdictView& view) {
  if (view.done + view.failed_jobs + view.ended_otherwise + view.unfinished == 0) return "none";
  std::string text = fmt::format("{} done, {} failed", view.done, view.failed_jobs);
  if (view.ended_otherwise > 0) text += fmt::format(", {} cancelled", view.ended_otherwise);
  if (view.unfinished > 0) text += fmt::format(", {} not ended", view.unfinished);
  return text;
}

void WritePlaces(HtmlWriter& html, const VerdictView& view) {
  PageTable table{.caption = "Network time before and after tuning, by where it runs",
                  .columns = {{"where"},
                              {"times"},
                              {"untuned ms", kNumber},
                              {"tuned ms", kNumber},
                              {"gain", kNumber},
                              {"since then", kNumber},
                              {"layers timed", kNumber},
                              {"confirmed", kNumber},
                              {"stale", kNumber},
                              {"new", kNumber}},
                  .rows = {}};
  for (const VerdictView::Place& place : view.places) {
    const SummedTime& time = place.time;
    const bool any = time.timed() > 0;
    table.rows.push_back(
        {{place.setting},
         {Name(place.kind)},
         {any ? MillisecondsText(time.before_ns()) : "-"},
         {any ? MillisecondsText(time.after_ns()) : "-"},
         {any ? GainText(time.gain()) : "-"},
         {place.tonight.timed() > 0 ? GainText(place.tonight.gain()) : "-"},
         {fmt::format("{} of {}", time.timed(), time.layers())},
         {fmt::format("{} of {}", place.confirmed, place.with_best),
          place.confirmed == place.with_best ? Look::kPlain : Look::kBad},
         {std::to_string(place.stale), place.stale == 0 ? Look::kPlain : Look::kBad},
         {std::to_string(place.changed)}});
  }
  WritePageTable(html, table);
}

std::string KnobsText(const LayersView::Row& row) {
  if (!row.knobs) return row.config_id.empty() ? "-" : "the default is not known here";
  if (row.knobs->empty()) return row.config_id.empty() ? "-" : "none: the default is the best";
  std::string text;
  for (const KnobChange& change : *row.knobs) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", change.knob, change.tuned);
    if (!change.untuned.empty()) text += fmt::format(" (was {})", change.untuned);
  }
  return text;
}

// Of the place of the slowest layer alone: times of different places are not compared.
void WriteLayerBars(HtmlWriter& html, const LayersView& view) {
  BarChart chart{.title = "Where the time is",
                 .description =
                     "Time of the slowest layers in the network, in microseconds; the "
                     "table below has the numbers.",
                 .bars = {}};
  const std::string& place = view.rows.front().setting;
  for (const LayersView::Row& row : view.rows) {
    if (chart.bars.size() == kMostBars || !row.total_ns) break;
    if (row.setting != place) continue;
    chart.bars.push_back({Shortened(row.name, 26), MicrosecondsText(*row.total_ns), *row.total_ns});
  }
  if (chart.bars.size() < 2) return;
  html.Open("figure", {{"class", "bars"}});
  WriteBarChart(html, chart);
  html.Element("figcaption", fmt::format("Microseconds of the {} layers that cost the most on {}, "
                                         "each as often as the network runs it",
                                         chart.bars.size(), place));
  html.Close();
}

std::vector<PageCell> LayerCells(const LayersView::Row& row) {
  const bool is_stale = row.how.find("stale") != std::string::npos || !row.ns;
  return {{row.name},
          {TimeOrDash(row.total_ns)},
          {row.share ? ShareText(*row.share) : "-"},
          {std::to_string(row.count)},
          {TimeOrDash(row.ns)},
          {row.gops ? fmt::format("{:.1f}", *row.gops) : "-"},
          {row.peak_share ? ShareText(*row.peak_share) : "-"},
          {GainOrDash(row.gain)},
          {GainOrDash(row.gain_tonight)},
          {row.setting},
          {row.how, is_stale ? Look::kBad : Look::kPlain},
          {row.device.empty() ? "-" : row.device},
          {KnobsText(row), Look::kCode},
          {CountText(row.trials)},
          {row.config_id, Look::kCode},
          {row.key, Look::kCode}};
}

std::string PairedText(const ChangesView::Row& row) {
  if (!row.paired) return "not in turn";
  return fmt::format("{} ({} to {}, {} pairs)", GainText(row.paired->median),
                     GainText(row.paired->low), GainText(row.paired->high), row.paired->pairs);
}

std::vector<PageCell> ChangeCells(const ChangesView::Row& row) {
  std::optional<double> gain;
  if (row.from_ns) gain = *row.from_ns / row.to_ns;
  return {{row.name},
          {row.is_safe ? "yes" : "not yet", row.is_safe ? Look::kGood : Look::kBad},
          {row.why},
          {TimeOrDash(row.from_ns)},
          {MicrosecondsText(row.to_ns)},
          {GainOrDash(gain)},
          {PairedText(row)},
          {std::to_string(row.samples)},
          {fmt::format("{}x on {}", row.verified, CountedText(row.devices, "device"))},
          {row.device},
          {row.setting},
          {row.from_config, Look::kCode},
          {row.to_config, Look::kCode}};
}

std::vector<PageCell> FailureCells(const FailuresView::Row& row, std::int64_t now_ms) {
  return {{std::string(Name(row.stage)) + ": " + Name(row.kind)},
          {row.message.empty() ? "-" : row.message, Look::kCode},
          {CountText(row.count)},
          {CountText(row.since)},
          {row.is_new ? "new" : "known", row.is_new ? Look::kBad : Look::kPlain},
          {SpanText(now_ms - row.last_ms) + " ago"},
          {row.layer},
          {row.device.empty() ? "none" : row.device},
          {row.command, Look::kCode}};
}

}  // namespace

void WriteVerdict(HtmlWriter& html, const Dashboard& dashboard) {
  const VerdictView& view = dashboard.verdict;
  html.Element("p", view.headline, {{"class", "headline"}});
  WriteFacts(html, {{"jobs since then", JobsText(view)},
                    {"hours of running", view.used_ms > 0 ? SpanText(view.used_ms) : "no job ran"},
                    {"trials since then", CountText(view.since)},
                    {"trials", CountText(view.trials)},
                    {"of them failed", CountText(view.failed)}});
  for (const std::string& failed : view.failed_words) {
    html.Element("p", failed, {{"class", "bad"}});
  }
  if (!view.places.empty()) WritePlaces(html, view);
}

void WriteLayers(HtmlWriter& html, const Dashboard& dashboard) {
  const LayersView& view = dashboard.layers;
  if (view.rows.empty()) {
    html.Element("p", "No layers yet: `kiln tune` makes trials of some.");
    return;
  }
  WriteLayerBars(html, view);
  PageTable table{.caption = "Where the time is now, by time x multiplicity",
                  .columns = {{"layer"},
                              {"us x count", kNumber},
                              {"share", kNumber},
                              {"x", kNumber},
                              {"us", kNumber},
                              {"GOP/s", kNumber},
                              {"of peak", kNumber},
                              {"gain", kNumber},
                              {"since then", kNumber},
                              {"where"},
                              {"how"},
                              {"device"},
                              {"knobs that differ from the default"},
                              {"trials", kNumber},
                              {"config"},
                              {"workload"}},
                  .rows = {}};
  for (const LayersView::Row& row : view.rows) table.rows.push_back(LayerCells(row));
  WritePageTable(html, table);
  if (view.left_out == 0) return;
  html.Element("p", fmt::format("Left out: {} with {} us in all. `kiln best --all` shows all.",
                                CountedText(static_cast<std::int64_t>(view.left_out), "layer"),
                                MicrosecondsText(view.left_out_ns)));
}

void WriteChanges(HtmlWriter& html, const Dashboard& dashboard) {
  const ChangesView& view = dashboard.changes;
  const std::string since = FormatTime(dashboard.scope.since_ms);
  if (view.rows.empty()) {
    html.Element("p", fmt::format("No best config has changed since {}: nothing to lock.", since));
    return;
  }
  const auto all = static_cast<std::int64_t>(view.rows.size() + view.left_out);
  html.Element("p", fmt::format("{} of {} may be locked: `kiln lock --update` takes what is "
                                "confirmed. A gain is the time before by the time now; where both "
                                "were measured in turn, its median and an interval of 95% or more.",
                                view.safe, CountedText(all, "change")));
  PageTable table{.caption = fmt::format("Best configs that are others than before {}", since),
                  .columns = {{"layer"},
                              {"safe to lock"},
                              {"why", kWords},
                              {"before us", kNumber},
                              {"now us", kNumber},
                              {"gain", kNumber},
                              {"in turn"},
                              {"samples", kNumber},
                              {"verified"},
                              {"device"},
                              {"where"},
                              {"config before"},
                              {"config now"}},
                  .rows = {}};
  for (const ChangesView::Row& row : view.rows) table.rows.push_back(ChangeCells(row));
  WritePageTable(html, table);
  if (view.left_out == 0) return;
  html.Element("p", fmt::format("Left out: {} more. `kiln lock --update --dry-run` shows all.",
                                view.left_out));
}

void WriteFailures(HtmlWriter& html, const Dashboard& dashboard) {
  const FailuresView& view = dashboard.failures;
  const DashboardScope& scope = dashboard.scope;
  if (view.count == 0) {
    html.Element("p", "None failed, ever.");
    return;
  }
  const std::string since = FormatTime(scope.since_ms);
  html.Element(
      "p", view.since == 0
               ? fmt::format("None failed since {}. Before: {} of {}.", since,
                             CountedText(view.count, "failure"), CountedText(view.groups, "kind"))
               : fmt::format("{} since {}, {} in all, of {}; {} of them never happened "
                             "before. A failure is a finding of the search: its config "
                             "is not tried again.",
                             CountedText(view.since, "failure"), since, CountText(view.count),
                             CountedText(view.groups, "kind"), CountText(view.new_groups)));
  PageTable table{.caption = "Failures by stage and message, of the whole database",
                  .columns = {{"stage"},
                              {"message", kWords},
                              {"count", kNumber},
                              {"since then", kNumber},
                              {"new"},
                              {"last"},
                              {"last layer"},
                              {"device"},
                              {"to see it again"}},
                  .rows = {}};
  for (const FailuresView::Row& row : view.rows) {
    table.rows.push_back(FailureCells(row, scope.now_ms));
  }
  WritePageTable(html, table);
  if (view.left_out == 0) return;
  html.Element("p", fmt::format("Left out: {} that happened less often. `kiln history --workload "
                                "KEY` shows those of a layer.",
                                CountedText(view.left_out, "kind")));
}

}  // namespace kiln
