#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace kiln {

// How long a test waits for what should take a moment: only a program that hangs takes so long.
inline constexpr std::chrono::seconds kPatience{120};

// This is a directory of a test's own, with all that the programs which it starts read and write:
// the database, the caches, the sockets. Removed with it.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  std::string database() const { return Path("tuning.db"); }  // $KILN_DB of the programs
  std::string Write(const std::string& name, const std::string& bytes) const;  // returns its path

  // For programs that are started from now on.
  void Set(const std::string& variable, const std::string& value);
  // The same, where they look for kiln-host: this program is it.
  void SetHost(const std::string& program);

  // This process's environment with HOME, KILN_DB and XDG_* in the directory, without other KILN_* but
  // those that were set.
  std::vector<std::string> Environment() const;

 private:
  std::string path_;
  std::vector<std::string> set_;  // "NAME=value"
};

// Where a program of Kiln lies: one directory above the test's own.
std::string ProgramPath(const std::string& name);

// How a program ended and what it printed.
struct Outcome {
  int status = 0;  // exit status, or minus the signal that ended it
  std::string out, err;
};

// What a program finds as its standard streams: the path of a file, or kClosed. An empty path is a
// file of the test's own, which out() and err() read.
inline constexpr char kClosed[] = "closed";
struct Streams {
  std::string in = "/dev/null", out = {}, err = {};
  int helper = -1;  // see StandardFiles
};

// This is a program of Kiln (`command[0]` is its name, see ProgramPath()) that runs beside the test, as the leader of its own process group. Killed when this goes.
class RunningProgram {
 public:
  RunningProgram(const Scratch& scratch, const std::vector<std::string>& command,
                 const Streams& streams = {});
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  pid_t pid() const { return pid_; }
  std::string out() const;  // what it has printed so far
  std::string err() const;
  void Signal(int signal);       // to the program
  void SignalGroup(int signal);  // to the program and what it started in its group

  // Waits until the condition holds; false if the program ended first, or did not within the time.
  bool WaitUntil(const std::function<bool()>& condition,
                 std::chrono::seconds patience = kPatience) const;
  // Where a server says that it listens, once it does; empty, and a failure of the test, if it says
  // something else.
  std::string Address() const;
  // Waits for its end. If it does not end within the time, that is a failure of the test and it is
  // killed.
  Outcome Wait(std::chrono::seconds patience = kPatience);

 private:
  bool ended() const;
  pid_t pid_ = -1;
  int pidfd_ = -1, out_ = -1, err_ = -1;
};

// Starts a program and waits for its end.
Outcome RunProgram(const Scratch& scratch, const std::vector<std::string>& command,
                   std::chrono::seconds patience = kPatience, const Streams& streams = {});

// A process below another one.
struct Process {
  pid_t pid = -1;
  std::string name;  // its first 15 characters
};
std::vector<Process> Descendants(pid_t pid);

// From now on orphans of the programs that this test starts become its children, so that they can
// be waited for. False: the system does not have it.
bool AdoptOrphans();
// Reaps children until there are none; false if some still run after the time.
bool ReapOrphans(std::chrono::seconds patience = kPatience);

// One line that ends with a newline: what an error of a program looks like.
bool IsOneLine(const std::string& text);

// A test with a directory of its own and the `kiln` program.
class KilnTest : public testing::Test {
 protected:
  Outcome Kiln(std::vector<std::string> arguments, std::chrono::seconds patience = kPatience) const;
  // The same, and it must end with this status; shows what it said if it does not.
  Outcome ExpectKiln(int status, std::vector<std::string> arguments,
                     std::chrono::seconds patience = kPatience) const;

  const Scratch scratch_;
};

}  // namespace kiln
