#include "apps/kiln/tuning_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <numeric>
#include <string_view>

namespace kiln {
namespace {

constexpr std::size_t kSparkWidth = 12;

std::string_view Name(TuningPicture::State state) {
  switch (state) {
    case TuningPicture::State::kWaits:
      return "";
    case TuningPicture::State::kTunes:
      return "tuning";
    case TuningPicture::State::kConfirms:
      return "confirming";
    case TuningPicture::State::kDone:
      return "done";
  }
  return "";
}

std::string Bold(const std::string& text, const Canvas& canvas) {
  return canvas.styles ? "\033[1m" + text + "\033[0m" : text;
}

std::string DrawRow(const TuningPicture::Row& row, std::size_t name_width, const Canvas& canvas) {
  std::string text = fmt::format("{:<{}} {:>3} {:>7}", row.layer, name_width,
                                 row.count > 1 ? fmt::format("x{}", row.count) : "", row.trials);
  if (row.best_ns > 0) {
    text +=
        fmt::format(" {:>9.2f} {:>8.1f} {:>5} {:>6}", row.best_ns / 1e3, row.gops,
                    row.share ? fmt::format("{:.0f}%", 100 * *row.share) : "-",
                    row.first_ns > 0 ? fmt::format("{:.2f}x", row.first_ns / row.best_ns) : "-");
  } else {
    text += fmt::format(" {:>9} {:>8} {:>5} {:>6}", "-", "-", "-", "-");
  }
  std::string state(Name(row.state));
  if (row.failed > 0) state += fmt::format("{}{} failed", state.empty() ? "" : ", ", row.failed);
  const std::string spark = Sparkline(row.curve, kSparkWidth, canvas.unicode);
  text += "  " + spark;
  if (!spark.empty() || !state.empty()) {
    const std::size_t drawn = spark.empty() ? 0 : std::min(kSparkWidth, row.curve.size());
    text += std::string(kSparkWidth - std::min(kSparkWidth, drawn), ' ') + "  " + state;
  }
  return row.state == TuningPicture::State::kTunes ? Bold(text, canvas) : text;
}

std::string DrawSum(const TuningPicture& picture) {
  double now = 0;
  std::size_t timed = 0;
  for (const TuningPicture::Row& row : picture.rows) {
    if (row.best_ns <= 0) continue;
    now += row.best_ns * static_cast<double>(row.count);
    ++timed;
  }
  if (timed == 0) return "no time yet";
  std::string text = fmt::format("all layers {:.3f} ms", now / 1e6);
  if (timed < picture.rows.size()) {
    text += fmt::format(" ({} of {} have a time)", timed, picture.rows.size());
  }
  return text;
}

}  // namespace

std::string Sparkline(const std::vector<double>& best_ns, std::size_t width, bool unicode) {
  static constexpr std::string_view kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::string_view kAscii[] = {"_", ".", ",", "-", "=", "+", "*", "#"};
  constexpr std::size_t kLevels = std::size(kBlocks);
  const std::size_t points = std::min(width, best_ns.size());
  if (points < 2) return "";
  std::vector<double> speeds;  // a point stands for the last of those that it is made of
  for (std::size_t i = 0; i < points; ++i) {
    const double ns = best_ns[(i + 1) * best_ns.size() / points - 1];
    speeds.push_back(std::isfinite(ns) && ns > 0 ? 1 / ns : 0);
  }
  const double top = *std::ranges::max_element(speeds);
  std::string text;
  for (const double speed : speeds) {
    const auto level =
        top > 0 ? static_cast<std::size_t>(std::lround(speed / top * (kLevels - 1))) : 0;
    text += unicode ? kBlocks[level] : kAscii[level];
  }
  return text;
}

std::vector<std::string> DrawTuning(const TuningPicture& picture, const Canvas& canvas) {
  constexpr std::size_t kOtherLines = 4;  // heading, sum, those left out, the cursor's
  const std::size_t room = canvas.rows > kOtherLines ? canvas.rows - kOtherLines : 1;
  std::vector<std::size_t> shown(picture.rows.size());
  std::iota(shown.begin(), shown.end(), 0);
  std::ranges::stable_sort(shown, std::greater(),
                           [&](std::size_t i) { return picture.rows[i].weight; });
  std::vector<std::size_t> hidden;
  if (shown.size() > room) {
    hidden.assign(shown.begin() + static_cast<std::ptrdiff_t>(room), shown.end());
    shown.resize(room);
  }
  std::ranges::sort(shown);
  std::size_t name_width = 5;
  for (const std::size_t i : shown) name_width = std::max(name_width, picture.rows[i].layer.size());
  std::vector<std::string> lines;
  const std::string us = picture.kind.empty() ? "us" : picture.kind.substr(0, 4) + " us";
  lines.push_back(fmt::format("{:<{}} {:>3} {:>7} {:>9} {:>8} {:>5} {:>6}  best so far", "layer",
                              name_width, "", "trials", us, "GOP/s", "peak", "gain"));
  for (const std::size_t i : shown) {
    lines.push_back(DrawRow(picture.rows[i], name_width, canvas));
  }
  if (!hidden.empty()) {
    std::int64_t trials = 0;
    for (const std::size_t i : hidden) trials += picture.rows[i].trials;
    lines.push_back(fmt::format("and {} smaller layers: {} trials", hidden.size(), trials));
  }
  lines.push_back(picture.progress + "  | " + DrawSum(picture));
  return lines;
}

}  // namespace kiln
