#include "apps/kiln/terminal_picture.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "apps/kiln/terminal.h"
#include "base/standard_streams.h"
#include "base/utf8.h"

namespace kiln {
namespace {

constexpr char kEscape = '\033';

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The picture that there is; null: none. The lock is held while it is spoken to.
std::mutex current_mutex;
TerminalPicture* current = nullptr;

void SetCurrent(TerminalPicture* picture) {
  const std::lock_guard lock(current_mutex);
  current = picture;
}

}  // namespace

void SayToPerson(const std::string& line) {
  const std::lock_guard lock(current_mutex);
  if (current == nullptr) return WriteError(line + "\n");
  current->Say(line);
}

bool TerminalSpeaksUtf8() { return FaceFor(true, 0, Variable).charset == PlotCharset::kUnicode; }

namespace {

// Calls `see` with each character, or sequence of a style, of a line, and how many columns it takes.
template <typename See>
void EachCharacter(std::string_view line, const See& see) {
  while (!line.empty()) {
    if (line.front() == kEscape) {
      const std::size_t end = line.find('m');
      const std::string_view style = line.substr(0, end == line.npos ? end : end + 1);
      see(style, 0);
      line.remove_prefix(style.size());
      continue;
    }
    const std::size_t bytes = FirstUtf8(line).bytes;
    see(line.substr(0, bytes), 1);
    line.remove_prefix(bytes);
  }
}

std::size_t Width(std::string_view line) {
  std::size_t width = 0;
  EachCharacter(line, [&width](std::string_view, std::size_t columns) { width += columns; });
  return width;
}

}  // namespace

std::string CutOff(const std::string& line, std::size_t columns) {
  std::string cut;
  std::size_t width = 0;
  EachCharacter(line, [&](std::string_view character, std::size_t takes) {
    width += takes;
    if (width <= columns || takes == 0) cut += character;
  });
  return cut;
}

// What is logged goes above the picture.
class TerminalPicture::LogSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LogSink(TerminalPicture& picture) : picture_(picture) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    while (line.size() > 0 && line[line.size() - 1] == '\n') line.resize(line.size() - 1);
    picture_.Say(std::string(line.data(), line.size()));
  }
  void flush_() override {}

  TerminalPicture& picture_;
};

std::unique_ptr<TerminalPicture> TerminalPicture::OnStandardError() {
  const std::string term = Variable("TERM");
  if (isatty(STDERR_FILENO) != 1 || term.empty() || term == "dumb") return nullptr;
  return std::unique_ptr<TerminalPicture>(new TerminalPicture());
}

struct TerminalPicture::Log {
  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
};

TerminalPicture::TerminalPicture() : log_(std::make_unique<Log>()) {
  auto logger = std::make_shared<spdlog::logger>("kiln", std::make_shared<LogSink>(*this));
  logger->set_pattern("%l: %v");
  logger->set_level(log_->before->level());
  spdlog::set_default_logger(std::move(logger));
  SetCurrent(this);
}

// Whoever logs has ended by now.
TerminalPicture::~TerminalPicture() {
  SetCurrent(nullptr);
  spdlog::set_default_logger(log_->before);
  const std::lock_guard lock(mutex_);
  WriteError(Erasure());
}

Canvas TerminalPicture::canvas() const {
  Canvas canvas{.unicode = TerminalSpeaksUtf8(), .styles = Variable("NO_COLOR").empty()};
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    canvas.columns = size.ws_col;
    canvas.rows = size.ws_row;
  }
  return canvas;
}

// A terminal that has become narrower shows a line on several rows.
std::string TerminalPicture::Erasure() const {
  if (lines_.empty()) return "";
  const std::size_t columns = canvas().columns;
  std::size_t rows = 0;
  for (const std::string& line : lines_) {
    rows += std::max<std::size_t>(1, (Width(line) + columns - 1) / columns);
  }
  return "\r" + (rows > 1 ? "\033[" + std::to_string(rows - 1) + "A" : "") + "\033[J";
}

std::string TerminalPicture::Lines() const {
  std::string text;
  for (const std::string& line : lines_) text += (text.empty() ? "" : "\n") + line;
  return text;
}

void TerminalPicture::Draw(std::vector<std::string> lines) {
  const Canvas now = canvas();
  if (lines.size() >= now.rows) lines.resize(now.rows > 1 ? now.rows - 1 : 1);
  for (std::string& line : lines) line = CutOff(line, now.columns);
  const std::lock_guard lock(mutex_);
  if (lines == lines_) return;
  const std::string erasure = Erasure();
  lines_ = std::move(lines);
  WriteError(erasure + Lines());
}

void TerminalPicture::Say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  WriteError(Erasure() + line + "\n" + Lines());
}

}  // namespace kiln
