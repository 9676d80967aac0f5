#include "dashboard/report_page.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/version.h"
#include "dashboard/html.h"
#include "dashboard/report_parts.h"
#include "dashboard/words.h"

namespace kiln {
namespace {

std::string TitleOf(const DashboardScope& scope) {
  return scope.network ? scope.network->name : "all layers of the database";
}

void WriteHead(HtmlWriter& html, const std::string& title) {
  html.Open("head");
  html.Void("meta", {{"charset", "utf-8"}});
  html.Void("meta", {{"http-equiv", "Content-Security-Policy"},
                     {"content", "default-src 'none'; style-src 'unsafe-inline'"}});
  html.Void("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  html.Void("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  html.Element("title", "Kiln: " + title);
  WriteStyle(html);
  html.Close();
}

struct View {
  const char* id;
  const char* title;
  void (*write)(HtmlWriter&, const Dashboard&);
};
constexpr View kViews[] = {
    {"verdict", "Verdict", WriteVerdict},
    {"layers", "Layers", WriteLayers},
    {"changes", "Changes to lock", WriteChanges},
    {"failures", "Failures", WriteFailures},
    {"devices", "Devices", WriteDevices},
    {"curves", "Curves", WriteCurves},
    {"store", "Store", WriteStore},
};

void WriteHeader(HtmlWriter& html, const Dashboard& dashboard, const std::string& title) {
  const DashboardScope& scope = dashboard.scope;
  html.Open("header");
  html.Element("h1", "Kiln: " + title);
  html.Element("p",
               fmt::format("As of {}; \"since then\" is since {}, {} earlier. {}",
                           FormatTime(scope.now_ms), FormatTime(scope.since_ms),
                           SpanText(scope.now_ms - scope.since_ms), dashboard.store.file.path),
               {{"class", "soft"}});
  html.Open("nav", {{"aria-label", "Views"}});
  html.Open("ul");
  for (const View& view : kViews) {
    html.Open("li");
    html.Element("a", view.title, {{"href", std::string("#") + view.id}});
    html.Close();
  }
  html.Close();
  html.Close();
  html.Close();
}

}  // namespace

std::string RenderReport(const Dashboard& dashboard) {
  const std::string title = TitleOf(dashboard.scope);
  HtmlWriter html;
  html.Open("html", {{"lang", "en"}});
  WriteHead(html, title);
  html.Open("body");
  html.Element("a", "Skip to the verdict", {{"class", "skip"}, {"href", "#verdict"}});
  WriteHeader(html, dashboard, title);
  html.Open("main");
  for (const View& view : kViews) {
    const std::string heading = std::string(view.id) + "-heading";
    html.Open("section", {{"id", view.id}, {"aria-labelledby", heading}});
    html.Element("h2", view.title, {{"id", heading}});
    view.write(html, dashboard);
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

}  // namespace kiln
