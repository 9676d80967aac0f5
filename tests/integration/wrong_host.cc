// A kiln-host of a device that computes wrong, in one of two ways ($KILN_TEST_WRONG): "data", where
// kernels run on other values than the request says, as with broken memory, and which it finds out
// itself; "digests", where it says that all is well with digests that are not what was asked for. The
// real one does the work, with this between it and kiln-server.

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
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
