#include "tests/integration/start_program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/frame.h"

namespace kiln {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Not from its own number, which dup2 would leave to be closed.
bool GiveHelper(int file) {
  return file < 0 || dup2(fcntl(file, F_DUPFD_CLOEXEC, kHelperSocket + 1), kHelperSocket) >= 0;
}

bool Become(int file, int number) {
  return file < 0 ? close(number) == 0 || errno == EBADF : dup2(file, number) >= 0;
}

// The child's part, after fork: system calls only.
bool Prepare(const StandardFiles& files, pid_t parent) {
  signal(SIGHUP, SIG_DFL);  // the tests may run under nohup
  return setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
         getppid() == parent &&  // it may have died before the line above
         Become(files.in, STDIN_FILENO) && Become(files.out, STDOUT_FILENO) &&
         Become(files.err, STDERR_FILENO) && GiveHelper(files.helper);
}

}  // namespace

pid_t StartProgram(const std::string& path, const std::vector<std::string>& command,
                   const std::vector<std::string>& environment, const StandardFiles& files) {
  const std::vector<char*> argv = Pointers(command);
  const std::vector<char*> envp = Pointers(environment);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    if (Prepare(files, parent)) execve(path.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  EXPECT_GT(pid, 0) << path << " cannot be started: " << std::strerror(errno);
  if (pid > 0) setpgid(pid, pid);  // whoever comes first, so that kill(-pid) never misses
  return pid;
}

}  // namespace kiln
