// What only a live page has: the queue, the farm as it is now, and what a reader may choose and do.

#include <fmt/format.h>

#include "base/clock.h"
#include "dashboard/report_parts.h"
#include "dashboard/words.h"

namespace kiln {
namespace {

using Look = PageCell::Look;
using enum PageColumn::Kind;

struct Choice {
  const char* value;
  const char* words;
};
constexpr Choice kSinces[] = {{"8h", "8 hours"}, {"24h", "a day"}, {"7d", "a week"}};

void WriteOption(HtmlWriter& html, const std::string& value, std::string_view words,
                 const std::string& chosen) {
  if (value == chosen) {
    html.Element("option", words, {{"value", value}, {"selected", ""}});
  } else {
    html.Element("option", words, {{"value", value}});
  }
}

// Works without scripts too.
void WriteChoices(HtmlWriter& html, const LiveParts& live) {
  html.Open("form", {{"method", "get"}, {"class", "choices"}});
  html.Open("label");
  html.Text("Layers of ");
  html.Open("select", {{"name", "network"}});
  WriteOption(html, "", "all that there is", live.network);
  for (const std::string& name : live.networks) WriteOption(html, name, name, live.network);
  html.Close();
  html.Close();
  html.Open("label");
  html.Text("News of the last ");
  html.Open("select", {{"name", "since"}});
  bool is_known = false;
  for (const Choice& since : kSinces) {
    WriteOption(html, since.value, since.words, live.since);
    is_known |= live.since == since.value;
  }
  if (!is_known) WriteOption(html, live.since, live.since, live.since);
  html.Close();
  html.Close();
  html.Element("button", "Show", {{"type", "submit"}});
  html.Close();
}

// The script shows it.
void WriteUnlock(HtmlWriter& html) {
  html.Open("form", {{"id", "unlock"}, {"class", "choices"}, {"hidden", ""}});
  html.Open("label");
  html.Text("Token, to make changes ");
  html.Void("input", {{"type", "password"}, {"autocomplete", "off"}});
  html.Close();
  html.Element("button", "Unlock", {{"type", "submit"}});
  html.Close();
}

void WriteWishes(HtmlWriter& html, const QueueView::Row& row) {
  for (const std::string& wish : row.wishes) {
    html.Element("button", wish,
                 {{"type", "button"},
                  {"disabled", ""},
                  {"data-wish", wish},
                  {"data-job", std::to_string(row.id)},
                  {"data-name", row.name},
                  {"aria-label", fmt::format("{} job {}", wish, row.id)}});
    html.Text(" ");
  }
}

void WriteWaiting(HtmlWriter& html, const QueueView& view, std::int64_t now_ms) {
  PageTable table{.caption = "Jobs that have not ended: what runs, then what is next",
                  .columns = {{"name"},
                              {"job", kNumber},
                              {"state"},
                              {"why", kWords},
                              {"done", kWords},
                              {"trials", kNumber},
                              {"for"},
                              {"user"},
                              {"target"},
                              {"change"}},
                  .rows = {}};
  for (const QueueView::Row& row : view.waiting) {
    table.rows.push_back({{row.name},
                          {std::to_string(row.id)},
                          {row.state},
                          {row.why},
                          {row.done},
                          {CountText(row.trials)},
                          {SpanText(now_ms - row.since_ms)},
                          {row.user},
                          {row.target},
                          {.write = [&row](HtmlWriter& to) { WriteWishes(to, row); }}});
  }
  WritePageTable(html, table);
  if (view.left_out == 0) return;
  html.Element("p", fmt::format("Left out: {} more. `kiln jobs` shows all.", view.left_out));
}

void WriteEnded(HtmlWriter& html, const QueueView& view, std::int64_t now_ms) {
  PageTable table{
      .caption = "The last jobs that ended",
      .columns = {{"name"}, {"job", kNumber}, {"state"}, {"what came of it", kWords}, {"ended"}},
      .rows = {}};
  for (const QueueView::Row& row : view.ended) {
    const bool is_bad = row.state == "failed" || row.state == "expired";
    table.rows.push_back({{row.name},
                          {std::to_string(row.id)},
                          {row.state, is_bad ? Look::kBad : Look::kPlain},
                          {row.why},
                          {SpanText(now_ms - row.since_ms) + " ago"}});
  }
  WritePageTable(html, table);
}

}  // namespace

void WriteControls(HtmlWriter& html, const LiveParts& live) {
  for (const std::string& trouble : live.queue.troubles) {
    html.Element("p", trouble, {{"class", "bad"}});
  }
  WriteChoices(html, live);
  if (live.has_token) WriteUnlock(html);
}

void WriteStatus(HtmlWriter& html, std::int64_t now_ms) {
  html.Element("p",
               fmt::format("Not live without scripts: as of {}, loaded anew every 30 seconds.",
                           FormatTime(now_ms)),
               {{"id", "live-status"}, {"role", "status"}, {"class", "soft"}});
  html.Element("p", "", {{"id", "change-status"}, {"role", "status"}});
}

void WriteQueue(HtmlWriter& html, const QueueView& view, std::int64_t now_ms) {
  html.Element("p", fmt::format("Daemon {}, where it is {}.", view.daemon, view.local));
  if (view.windows.empty()) {
    html.Element("p", "No windows: jobs run at any time.");
  } else {
    PageTable table{.caption = "Windows in which jobs may run",
                    .columns = {{"window"}, {"now"}, {"when", kWords}},
                    .rows = {}};
    for (const QueueView::Window& window : view.windows) {
      table.rows.push_back(
          {{window.name},
           {window.is_open ? "open" : "closed", window.is_open ? Look::kGood : Look::kPlain},
           {window.text}});
    }
    WritePageTable(html, table);
  }
  if (view.waiting.empty()) {
    html.Element("p", "No job waits or runs: `kiln submit` makes one.");
  } else {
    WriteWaiting(html, view, now_ms);
  }
  if (view.ended.empty()) {
    html.Element("p", "No job has ended yet.");
  } else {
    WriteEnded(html, view, now_ms);
  }
}

void WriteFarm(HtmlWriter& html, const FarmView& view) {
  if (!view.trouble.empty()) {
    html.Element("p",
                 fmt::format("The tracker {} says nothing now: {}", view.tracker, view.trouble),
                 {{"class", "bad"}});
    return;
  }
  if (view.rows.empty()) {
    html.Element("p", fmt::format("The tracker {} has no devices now: start a kiln-server "
                                  "that registers with it.",
                                  view.tracker));
    return;
  }
  PageTable table{
      .caption = fmt::format(
          "Devices of {} now; {} for one", view.tracker,
          view.waiting == 0 ? "nobody waits" : CountedText(view.waiting, "client") + " waiting"),
      .columns = {{"device"}, {"target"}, {"state"}, {"held by"}, {"last fault", kWords}},
      .rows = {}};
  for (const FarmView::Row& row : view.rows) {
    const bool is_bad = row.state == "lost" || row.state == "quarantined";
    table.rows.push_back({{row.device},
                          {row.target},
                          {row.state, is_bad ? Look::kBad : Look::kPlain},
                          {row.holder.empty() ? "nobody" : row.holder},
                          {row.fault.empty() ? "-" : row.fault}});
  }
  WritePageTable(html, table);
}

void WriteFarmAbsent(HtmlWriter& html) {
  html.Element("p",
               "Absent here, since only a tracker knows it: whether a device is free, starved, hot "
               "or drained now, and by whom. `kiln devices --tracker HOST:PORT` shows it.",
               {{"class", "soft"}});
}

}  // namespace kiln
