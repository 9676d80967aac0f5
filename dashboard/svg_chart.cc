#include "dashboard/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln {
namespace {

// In units of the viewBox, which are pixels where there is room.
constexpr double kWidth = 280, kHeight = 120;
constexpr double kLeft = 6, kRight = 6, kTop = 18, kBottom = 18;

std::string Number(double value) { return fmt::format("{:.1f}", value); }

struct Size {
  double width = 0, height = 0;
};

// Opens the image with its texts.
void OpenImage(HtmlWriter& html, const std::string& title, const std::string& description,
               const Size& size) {
  const std::string title_id = html.NewId("title"), description_id = html.NewId("desc");
  html.Open("svg", {{"role", "img"},
                    {"viewBox", fmt::format("0 0 {:.0f} {:.0f}", size.width, size.height)},
                    {"aria-labelledby", title_id + " " + description_id}});
  html.Element("title", title, {{"id", title_id}});
  html.Element("desc", description, {{"id", description_id}});
}

// The x axis, at the foot of the image.
void WriteAxis(HtmlWriter& html) {
  const std::string y = Number(kHeight - kBottom);
  html.Element("line", "",
               {{"class", "axis"},
                {"x1", Number(kLeft)},
                {"y1", y},
                {"x2", Number(kWidth - kRight)},
                {"y2", y}});
}

struct Label {
  double x = 0, y = 0;
  const char* anchor = "start";
};
void WriteLabel(HtmlWriter& html, const std::string& text, const Label& at) {
  html.Element("text", text,
               {{"x", Number(at.x)}, {"y", Number(at.y)}, {"text-anchor", at.anchor}});
}

// From a range of values to places in the image.
struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  double operator()(double value) const {
    const double range = high - low;
    return range > 0 ? from + (value - low) / range * (to - from) : (from + to) / 2;
  }
};

std::string StepPath(const StepChart& chart, const Scale& x, const Scale& y) {
  std::string path;
  for (const auto& [at, value] : chart.points) {
    if (path.empty()) {
      path = fmt::format("M{:.1f} {:.1f}", x(at), y(value));
    } else {
      path += fmt::format("H{:.1f}V{:.1f}", x(at), y(value));
    }
  }
  return path + fmt::format("H{:.1f}", x(chart.end));
}

}  // namespace

void WriteStepChart(HtmlWriter& html, const StepChart& chart) {
  if (chart.points.empty()) return;
  const auto [lowest, highest] = std::ranges::minmax_element(chart.points, {}, &CurvePoint::y);
  const Scale x{chart.points.front().x, std::max(chart.end, chart.points.back().x), kLeft,
                kWidth - kRight};
  const Scale y{lowest->y, highest->y, kHeight - kBottom - 6, kTop + 4};
  OpenImage(html, chart.title, chart.description, {kWidth, kHeight});
  WriteAxis(html);
  html.Element("path", "", {{"class", "curve"}, {"d", StepPath(chart, x, y)}});
  WriteLabel(html, chart.first_label, {kLeft, kTop - 6});
  WriteLabel(html, chart.last_label, {kWidth - kRight, kTop - 6, "end"});
  WriteLabel(html, chart.end_label, {kWidth - kRight, kHeight - 4, "end"});
  html.Close();
}

void WriteBarChart(HtmlWriter& html, const BarChart& chart) {
  constexpr double kRow = 22, kBarHeight = 14, kLabels = 190, kValues = 84, kBars = 346;
  if (chart.bars.empty()) return;
  const double longest = std::ranges::max_element(chart.bars, {}, &BarChart::Bar::length)->length;
  OpenImage(html, chart.title, chart.description,
            {kLabels + kBars + kValues, kRow * static_cast<double>(chart.bars.size())});
  double top = 0;
  for (const BarChart::Bar& bar : chart.bars) {
    const double width = longest > 0 ? bar.length / longest * kBars : 0;
    WriteLabel(html, bar.label, {kLabels - 6, top + kBarHeight, "end"});
    html.Element("rect", "",
                 {{"class", "bar"},
                  {"x", Number(kLabels)},
                  {"y", Number(top + 3)},
                  {"width", Number(width)},
                  {"height", Number(kBarHeight)}});
    WriteLabel(html, bar.value, {kLabels + width + 6, top + kBarHeight});
    top += kRow;
  }
  html.Close();
}

}  // namespace kiln
