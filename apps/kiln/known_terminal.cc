// Apart from top_screen.cc: term.h makes macros of words such as `columns`.

#include "apps/kiln/known_terminal.h"

#include <curses.h>
#include <term.h>
#include <unistd.h>

namespace kiln {

bool TerminalIsKnown() {
  int why = 0;
  if (setupterm(nullptr, STDOUT_FILENO, &why) != OK) return false;
  del_curterm(cur_term);
  return true;
}

}  // namespace kiln
