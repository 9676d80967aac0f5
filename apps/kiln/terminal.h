#pragma once

#include <functional>
#include <string>

#include "dashboard/terminal_plot.h"

namespace kiln {

// What standard output is, as far as a picture made of text minds.
struct OutputFace {
  bool is_terminal = false;
  int width = 80;  // characters
  PlotCharset charset = PlotCharset::kAscii;
  PlotInk ink = PlotInk::kPlain;
};
OutputFace FaceOfOutput();

// The same of a terminal of `columns` characters (0: it is no terminal, or does not say), by the
// variables of an environment: Unicode where the locale (LC_ALL, LC_CTYPE, LANG) is UTF-8, colours
// on a terminal unless NO_COLOR is set or TERM is dumb. `variable`: empty, where there is none.
OutputFace FaceFor(bool is_terminal, int columns,
                   const std::function<std::string(const char*)>& variable);

}  // namespace kiln
