#pragma once

#include <string>

namespace kiln {

// This is a terminal without anybody in front of it: the test reads and types at its master end,
// programs under test have the other one.
class PseudoTerminal {
 public:
  PseudoTerminal(int columns, int rows);
  ~PseudoTerminal();
  PseudoTerminal(const PseudoTerminal&) = delete;

  int master() const { return master_; }
  // Our own descriptor of the programs' end, which keeps it open.
  int keeper() const { return keeper_; }
  const std::string& path() const { return path_; }  // for Streams
  void Resize(int columns, int rows) const;  // programs are told by whoever sends them SIGWINCH

 private:
  int master_ = -1, keeper_ = -1;
  std::string path_;
};

}  // namespace kiln
