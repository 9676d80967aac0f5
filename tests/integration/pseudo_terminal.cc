#include "tests/integration/pseudo_terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace kiln {

PseudoTerminal::PseudoTerminal(int columns, int rows)
    : master_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
  EXPECT_GE(master_, 0);
  EXPECT_EQ(grantpt(master_), 0);
  EXPECT_EQ(unlockpt(master_), 0);
  char name[64] = "";
  EXPECT_EQ(ptsname_r(master_, name, sizeof name), 0);
  path_ = name;
  keeper_ = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  EXPECT_GE(keeper_, 0);
  Resize(columns, rows);
}

PseudoTerminal::~PseudoTerminal() {
  close(keeper_);
  close(master_);
}

void PseudoTerminal::Resize(int columns, int rows) const {
  winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  size.ws_row = static_cast<unsigned short>(rows);
  EXPECT_EQ(ioctl(master_, TIOCSWINSZ, &size), 0);
}

}  // namespace kiln
