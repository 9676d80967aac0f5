#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace kiln {

// This is a program that a test has started: its output on a pipe, and killed with this object.
class Program {
 public:
  // `command`: the absolute path, then arguments.
  explicit Program(const std::vector<std::string>& command);
  Program(Program&& other) noexcept;
  ~Program();

  pid_t pid() const { return pid_; }
  // The next line of its standard output, without the newline; empty at the end.
  std::string ReadLine();
  // Everything that it still prints on standard output until it ends.
  std::string ReadAll();
  // Its standard error, once it has ended.
  std::string Errors() const;
  void Signal(int signal);
  // Waits for its end: the exit status, or minus the signal that ended it.
  int Wait();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  int errors_ = -1;  // an unlinked file
};

// The process ids of the children of `parent` whose program has this name.
std::vector<pid_t> ChildrenNamed(pid_t parent, const std::string& name);

}  // namespace kiln
