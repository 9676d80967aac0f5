#pragma once

namespace kiln {

// Whether the system knows how to draw on the terminal that TERM names and standard output is.
bool TerminalIsKnown();

}  // namespace kiln
