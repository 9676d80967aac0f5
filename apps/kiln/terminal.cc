#include "apps/kiln/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace kiln {
namespace {

// The locale of characters: the first variable that is set decides, as POSIX has it.
bool IsUtf8(const std::function<std::string(const char*)>& variable) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string locale = variable(name);
    if (locale.empty()) continue;
    std::ranges::transform(locale, locale.begin(), [](unsigned char c) { return std::tolower(c); });
    return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace

OutputFace FaceFor(bool is_terminal, int columns,
                   const std::function<std::string(const char*)>& variable) {
  OutputFace face{.is_terminal = is_terminal};
  if (is_terminal && columns > 0) face.width = columns;
  if (IsUtf8(variable)) face.charset = PlotCharset::kUnicode;
  const bool has_colours =
      is_terminal && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  if (has_colours) face.ink = PlotInk::kColour;
  return face;
}

OutputFace FaceOfOutput() {
  winsize size{};
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  const bool is_sized = is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return FaceFor(is_terminal, is_sized ? size.ws_col : 0, [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  });
}

}  // namespace kiln
