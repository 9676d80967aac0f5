// A kiln-host for host_process_test: the symbol of a request says what it does. With the argument
// "sick" it dies whatever it is asked.

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/frame.h"
#include "kernel_host/host_protocol.h"

namespace {

// Whether this is the first time that anybody asks about `path`.
bool FirstTime(const std::string& path) {
  if (std::ifstream(path).good()) return false;
  std::ofstream mark(path);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_sick = argc > 1 && std::string(argv[1]) == "sick";
  std::string frame;
  while (kiln::ReadFrame(kiln::kHelperSocket, frame)) {
    if (is_sick) std::abort();
    if (frame == kiln::kDescribeFrame) {
      if (!kiln::WriteFrame(kiln::kHelperSocket, kiln::Serialize(kiln::DescribeHost()))) return 1;
      continue;
    }
    kiln::HostRequest request;
    if (!kiln::Deserialize(frame, request)) return 9;
    if (request.symbol == "die") std::abort();
    if (request.symbol == "die once" && FirstTime(request.object)) std::abort();
    if (request.symbol == "hang") FirstTime(request.object);
    while (request.symbol == "hang") pause();
    if (request.symbol == "babble") {
      if (!kiln::WriteFrame(kiln::kHelperSocket, "babble")) return 1;
      continue;
    }
    kiln::HostReply reply;
    reply.outcome = kiln::Timings{{static_cast<double>(getpid())}, 1};
    if (!kiln::WriteFrame(kiln::kHelperSocket, kiln::Serialize(reply))) return 1;
  }
}
