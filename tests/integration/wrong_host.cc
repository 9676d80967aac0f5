// A kiln-host with which something is wrong ($KILN_TEST_WRONG):
//   data      kernels run on other values than the request says, as with broken memory: their results
//             are wrong, and it says so
//   digests   it says that all is well, with digests that are not what was asked for
//   poison    the first kernel of a trial that any host with the same $KILN_TEST_POISON, a file, is
//             asked to run takes every kiln-server down that has it run
// The real one does the work, with this between it and kiln-server.

#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/frame.h"
#include "kernel_host/host_protocol.h"

namespace kiln {
namespace {

// The socket to a kiln-host, the real one; -1: there is none.
int StartHost() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
  const std::string program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "kiln-host";
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], kHelperSocket);
    execl(program.c_str(), "kiln-host", nullptr);
    _exit(1);
  }
  close(ends[1]);
  return pid < 0 ? -1 : ends[0];
}

std::string OtherData(const std::string& frame) {
  HostRequest request;
  if (!Deserialize(frame, request)) return frame;
  for (HostCase& host_case : request.cases) ++host_case.seed;
  return Serialize(request);
}

// A name is made for a file with the content that is there: others see all of it or none.
bool IsPoison(const std::string& frame) {
  HostRequest request;
  const char* const path = std::getenv("KILN_TEST_POISON");
  if (path == nullptr || !Deserialize(frame, request)) return false;
  // What is not checked is no trial: it finds out how fast the machine is.
  if (request.cases.empty() || !request.cases[0].check) return false;
  const std::string own = path + std::to_string(getpid());
  std::ofstream(own) << request.symbol;
  (void)!link(own.c_str(), path);
  unlink(own.c_str());
  std::string poison;
  std::getline(std::ifstream(path), poison);
  return request.symbol == poison;
}

std::string OtherDigests(const std::string& frame) {
  HostReply reply;
  if (!Deserialize(frame, reply)) return frame;
  for (std::uint64_t& digest : reply.digests) digest ^= 1;
  return Serialize(reply);
}

int Relay(std::string_view wrong) {
  const int host = StartHost();
  std::string frame;
  while (host >= 0 && ReadFrame(kHelperSocket, frame)) {
    if (wrong == "data") frame = OtherData(frame);
    if (wrong == "poison" && IsPoison(frame)) kill(getppid(), SIGKILL);
    if (!WriteFrame(host, frame) || !ReadFrame(host, frame)) break;
    if (wrong == "digests") frame = OtherDigests(frame);
    if (!WriteFrame(kHelperSocket, frame)) break;
  }
  return 0;
}

}  // namespace
}  // namespace kiln

int main() {
  const char* wrong = std::getenv("KILN_TEST_WRONG");
  return kiln::Relay(wrong == nullptr ? "" : wrong);
}
