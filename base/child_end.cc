#include "base/child_end.h"

#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace kiln {

ChildEnd EndGroup(pid_t child) {
  kill(-child, SIGKILL);
  siginfo_t end{};
  while (waitid(P_PID, static_cast<id_t>(child), &end, WEXITED) != 0 && errno == EINTR) {
  }
  if (end.si_code == CLD_EXITED) {
    return {end.si_status, "exited with status " + std::to_string(end.si_status)};
  }
  const char* name = sigabbrev_np(end.si_status);
  return {-end.si_status, "killed by " + (name ? std::string("SIG") + name
                                               : "signal " + std::to_string(end.si_status))};
}

void KeepTail(std::string& printed, std::string_view more) {
  constexpr std::size_t kTail = 4096;
  printed.append(more);
  if (printed.size() > kTail) printed.erase(0, printed.size() - kTail);
}

std::string LastLine(const std::string& text) {
  const auto end = text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return {};
  const auto newline = text.find_last_of('\n', end);
  const auto begin = newline == std::string::npos ? 0 : newline + 1;
  return text.substr(begin, end + 1 - begin);
}

}  // namespace kiln
