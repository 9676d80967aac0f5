#include "dashboard/report_page.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/version.h"
#include "dashboard/html.h"
#include "dashboard/report_parts.h"
#include "dashboard/words.h"

namespace kiln {
namespace {

constexpr const char* kReportPolicy = "default-src 'none'; style-src 'unsafe-inline'";

// What a page is made of; `live` is null for a report.
struct Content {
  const Dashboard& dashboard;
  const LiveParts* live;
};

std::string TitleOf(const DashboardScope& scope) {
  return scope.network ? scope.network->name : "all layers of the database";
}

void WriteMetas(HtmlWriter& html) {
  html.Void("meta", {{"charset", "utf-8"}});
  html.Void("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  html.Void("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
}

void WriteHead(HtmlWriter& html, const Content& content) {
  html.Open("head");
  WriteMetas(html);
  if (content.live) {
    html.Element("script", "", {{"src", std::string(kPageScriptPath)}, {"defer", ""}});
    html.Open("noscript");
    html.Void("meta", {{"http-equiv", "refresh"}, {"content", "30"}});
    html.Close();
  } else {
    html.Void("meta", {{"http-equiv", "Content-Security-Policy"}, {"content", kReportPolicy}});
  }
  html.Element("title", "Kiln: " + TitleOf(content.dashboard.scope));
  WriteStyle(html);
  html.Close();
}

void WriteDevicesNow(HtmlWriter& html, const Content& content) {
  WriteDevices(html, content.dashboard);
  if (!content.live) {
    WriteFarmAbsent(html);
  } else if (content.live->farm) {
    WriteFarm(html, *content.live->farm);
  }
}

void WriteQueueNow(HtmlWriter& html, const Content& content) {
  WriteQueue(html, content.live->queue, content.dashboard.scope.now_ms);
}

template <void (*write)(HtmlWriter&, const Dashboard&)>
void Write(HtmlWriter& html, const Content& content) {
  write(html, content.dashboard);
}

struct View {
  const char* id;
  const char* title;
  void (*write)(HtmlWriter&, const Content&);
  bool is_live = false;  // only on a live page
};
constexpr View kViews[] = {
    {"verdict", "Verdict", Write<WriteVerdict>},
    {"layers", "Layers", Write<WriteLayers>},
    {"changes", "Changes to lock", Write<WriteChanges>},
    {"failures", "Failures", Write<WriteFailures>},
    {"devices", "Devices", WriteDevicesNow},
    {"curves", "Curves", Write<WriteCurves>},
    {"queue", "Queue and windows", WriteQueueNow, true},
    {"store", "Store", Write<WriteStore>},
};

bool Has(const Content& content, const View& view) { return content.live || !view.is_live; }

void WriteNavigation(HtmlWriter& html, const Content& content) {
  html.Open("nav", {{"aria-label", "Views"}});
  html.Open("ul");
  for (const View& view : kViews) {
    if (!Has(content, view)) continue;
    html.Open("li");
    html.Element("a", view.title, {{"href", std::string("#") + view.id}});
    html.Close();
  }
  html.Close();
  html.Close();
}

void WriteHeader(HtmlWriter& html, const Content& content) {
  const DashboardScope& scope = content.dashboard.scope;
  html.Open("header");
  html.Element("h1", "Kiln: " + TitleOf(scope));
  const std::string span = SpanText(scope.now_ms - scope.since_ms);
  const std::string since =
      content.live ? fmt::format("\"Since then\" is within the last {}.", span)
                   : fmt::format("As of {}; \"since then\" is since {}, {} earlier.",
                                 FormatTime(scope.now_ms), FormatTime(scope.since_ms), span);
  html.Element("p", since + " " + content.dashboard.store.file.path, {{"class", "soft"}});
  if (content.live) WriteControls(html, *content.live);
  html.Close();
}

std::string RenderPage(const Content& content) {
  HtmlWriter html;
  html.Open("html", {{"lang", "en"}});
  WriteHead(html, content);
  html.Open("body", {{"data-as-of", FormatTime(content.dashboard.scope.now_ms)}});
  html.Element("a", "Skip to the verdict", {{"class", "skip"}, {"href", "#verdict"}});
  WriteHeader(html, content);
  // Beside the header, or it would not stay in sight below it.
  html.Open("div", {{"class", "stays"}});
  WriteNavigation(html, content);
  if (content.live) WriteStatus(html, content.dashboard.scope.now_ms);
  html.Close();
  html.Open("main");
  for (const View& view : kViews) {
    if (!Has(content, view)) continue;
    const std::string heading = std::string(view.id) + "-heading";
    html.Open("section", {{"id", view.id}, {"aria-labelledby", heading}});
    html.Element("h2", view.title, {{"id", heading}});
    view.write(html, content);
    html.Close();
  }
  html.Close();
  html.Open("footer");
  html.Element("p",
               fmt::format("Kiln {}. Times are the minimum of ten samples; times of different "
                           "devices and kinds are never compared.",
                           kVersion),
               {{"class", "soft"}});
  return html.Take();
}

}  // namespace

std::string RenderReport(const Dashboard& dashboard) { return RenderPage({dashboard, nullptr}); }

std::string RenderLivePage(const Dashboard& dashboard, const LiveParts& live) {
  return RenderPage({dashboard, &live});
}

std::string RenderTroublePage(std::string_view words) {
  HtmlWriter html;
  html.Open("html", {{"lang", "en"}});
  html.Open("head");
  WriteMetas(html);
  html.Element("title", "Kiln");
  WriteStyle(html);
  html.Close();
  html.Open("body");
  html.Open("main");
  html.Element("h1", "Kiln");
  html.Element("p", words, {{"class", "headline"}});
  // No page that loads itself anew: a reader of it would be thrown back to its start.
  html.Open("p");
  html.Element("a", "Ask again", {{"href", ""}});
  html.Close();
  return html.Take();
}

}  // namespace kiln
