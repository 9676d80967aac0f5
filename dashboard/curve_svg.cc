#include "dashboard/curve_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace kiln {
namespace {

// In the units of the picture, which a viewer scales.
constexpr double kWidth = 760, kHeight = 330;  // of a chart
constexpr double kLeft = 72, kRight = 24, kTop = 56, kBottom = 52;
constexpr int kXTicks = 9, kYTicks = 6;

// Both palettes have a contrast of 4.5 and more for text, and of 3 and more for lines.
constexpr char kStyle[] = R"(<style>
svg { background: #ffffff; }
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.heading { font-size: 15px; font-weight: 600; }
.axis { stroke: #59636e; fill: none; }
.grid { stroke: #d1d9e0; }
.curve { stroke: #0757ba; stroke-width: 2; fill: none; stroke-linejoin: round; }
.mark { fill: #1a7f37; stroke: #ffffff; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; }
  text { fill: #e6edf3; }
  .axis { stroke: #9198a1; }
  .grid { stroke: #30363d; }
  .curve { stroke: #58a6ff; }
  .mark { fill: #3fb950; stroke: #0d1117; }
}
</style>
)";

// The bytes of the character that the text begins with; 0: it is none of XML's, which has neither
// control characters nor anything but well-formed UTF-8 (the Unicode standard, table 3-7).
std::size_t CharacterSize(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const int first = byte(0);
  if (first < 0x80) return first < 0x20 || first == 0x7F ? 0 : 1;
  const std::size_t size = first < 0xC2 || first > 0xF4 ? 0
                           : first < 0xE0               ? 2
                           : first < 0xF0               ? 3
                                                        : 4;
  const int least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const int most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < least || byte(1) > most) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  const bool is_no_character = first == 0xEF && byte(1) == 0xBF && byte(2) >= 0xBE;
  return is_no_character ? 0 : size;
}

// As XML text or attribute; bytes that cannot be in it become question marks.
std::string Xml(std::string_view text) {
  std::string xml;
  while (!text.empty()) {
    const std::size_t size = CharacterSize(text);
    const char c = text[0];
    if (size == 0) {
      xml += '?';
    } else if (c == '&' || c == '<' || c == '>' || c == '"') {
      xml += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&quot;";
    } else {
      xml += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(1, size));
  }
  return xml;
}

// This draws one chart into the place that begins at `top`.
class ChartDrawing {
 public:
  ChartDrawing(const CurveChart& chart, double top)
      : chart_(chart), top_(top), axes_(AxesOf(chart, kXTicks, kYTicks)) {}

  std::string Draw() const {
    std::string svg = Text(kLeft, top_ + 24, "heading", chart_.title);
    if (chart_.curve.empty()) return svg + Text(kLeft, top_ + 60, "", "no point yet");
    return svg + Grid() + Axis() + Curve() + Marks();
  }

 private:
  double X(double value) const { return kLeft + axes_.x.At(value) * (kWidth - kLeft - kRight); }
  double Y(double value) const {
    return top_ + kHeight - kBottom - axes_.y.At(value) * (kHeight - kTop - kBottom);
  }

  static std::string Text(double x, double y, const char* kind, const std::string& text,
                          const char* anchor = "start") {
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                       anchor, *kind ? fmt::format(" class=\"{}\"", kind) : "", Xml(text));
  }

  std::string Grid() const {
    std::string svg;
    for (const double tick : axes_.y_ticks) {
      svg += fmt::format("<path class=\"grid\" d=\"M{:.1f},{:.1f}H{:.1f}\"/>\n", kLeft, Y(tick),
                         kWidth - kRight);
      svg += Text(kLeft - 8, Y(tick) + 4, "", TickText(tick), "end");
    }
    return svg;
  }

  std::string Axis() const {
    const double bottom = top_ + kHeight - kBottom;
    std::string svg = fmt::format("<path class=\"axis\" d=\"M{:.1f},{:.1f}V{:.1f}H{:.1f}\"/>\n",
                                  kLeft, top_ + kTop, bottom, kWidth - kRight);
    for (const double tick : axes_.x_ticks) {
      svg += fmt::format("<path class=\"axis\" d=\"M{:.1f},{:.1f}v5\"/>\n", X(tick), bottom);
      svg += Text(X(tick), bottom + 20, "", TickText(tick), "middle");
    }
    svg += Text(kLeft - 8, top_ + kTop - 10, "", chart_.y_label, "end");
    return svg + Text(kWidth - kRight, bottom + 40, "", chart_.x_label, "end");
  }

  std::string Curve() const {
    std::string path;
    for (const CurvePoint& point : ThinCurve(chart_.curve)) {
      path += path.empty() ? fmt::format("M{:.1f},{:.1f}", X(point.x), Y(point.y))
                           : fmt::format("H{:.1f}V{:.1f}", X(point.x), Y(point.y));
    }
    return fmt::format("<path class=\"curve\" d=\"{}\"/>\n", path);
  }

  std::string Marks() const {
    std::string svg;
    // The latest, should there be more than anybody can tell apart.
    const std::size_t left_out =
        chart_.marks.size() - std::min(chart_.marks.size(), kMostCurvePoints);
    for (const CurvePoint& mark : std::span(chart_.marks).subspan(left_out)) {
      const std::string words =
          fmt::format("{}: {} {} ({} {})", chart_.mark_label, TickText(mark.y), chart_.y_label,
                      chart_.x_label, TickText(mark.x));
      svg += fmt::format(
          "<circle class=\"mark\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"><title>{}</title></circle>\n",
          X(mark.x), Y(mark.y), Xml(words));
    }
    if (chart_.marks.empty()) return svg;
    const double y = top_ + kHeight - kBottom + 40;
    svg += fmt::format("<circle class=\"mark\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"/>\n", kLeft + 5,
                       y - 4);
    return svg + Text(kLeft + 16, y, "", chart_.mark_label);
  }

  const CurveChart& chart_;
  const double top_;
  const CurveAxes axes_;
};

}  // namespace

std::string CurvesSvg(const std::string& title, std::span<const CurveChart> charts) {
  std::string words, drawings;
  for (const CurveChart& chart : charts) {
    words += (words.empty() ? "" : " ") + DescribeChart(chart);
    const double top = kHeight * static_cast<double>(&chart - charts.data());
    drawings += ChartDrawing(chart, top).Draw();
  }
  if (charts.empty()) {
    words = "There is no curve yet.";
    drawings = fmt::format("<text x=\"{}\" y=\"60\">{}</text>\n", kLeft, words);
  }
  const double height = kHeight * static_cast<double>(std::max<std::size_t>(1, charts.size()));
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" "
             "height=\"{}\" role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n",
             kWidth, height, kWidth, height, Xml(title), Xml(words)) +
         kStyle + drawings + "</svg>\n";
}

}  // namespace kiln
