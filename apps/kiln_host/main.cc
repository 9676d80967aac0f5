#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cstring>
#include <string>

#include "base/frame.h"
#include "base/standard_streams.h"
#include "base/version.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/trial_server.h"

namespace {

constexpr char kName[] = "kiln-host";
constexpr char kHelp[] =
    "kiln-host runs kernels for kiln-server, each in a sandboxed process of its own: checks their\n"
    "output and times them. It is started by kiln-server, which talks to it on a socket that it\n"
    "finds as file descriptor 3.\n\n"
    "usage: kiln-host [--help | --version | --describe]\n"
    "  --describe  what this machine has: architecture, features, size of a page\n";

bool IsSocket(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

void PrintDescription() {
  const kiln::HostDescription machine = kiln::DescribeHost();
  std::string line = machine.arch;
  for (const std::string& feature : kiln::Names(machine.isa)) line += " " + feature;
  kiln::WriteOutputLine(line + ", pages of " + std::to_string(machine.page_bytes) + " bytes");
}

}  // namespace

int main(int argc, char** argv) {
  kiln::PrepareStandardStreams();
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    kiln::WriteOutputLine(std::string("kiln-host ") + kiln::kVersion);
    return kiln::FinishOutput(kName, 0);
  }
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
    kiln::WriteOutput(kHelp);
    return kiln::FinishOutput(kName, 0);
  }
  if (argc == 2 && std::strcmp(argv[1], "--describe") == 0) {
    PrintDescription();
    return kiln::FinishOutput(kName, 0);
  }
  if (argc != 1) {
    kiln::WriteError(std::string("kiln-host: unknown argument ") + argv[1] +
                     " (see kiln-host --help)\n");
    return 2;
  }
  if (!IsSocket(kiln::kHelperSocket)) {
    kiln::WriteError(
        "kiln-host: a helper that kiln-server starts; to run kernels use kiln or kiln-server\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return kiln::ServeTrials(kiln::kHelperSocket);
}
