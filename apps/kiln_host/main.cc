#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstring>

#include "base/frame.h"
#include "base/version.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/zygote.h"

namespace {

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
  std::printf("%s", machine.arch.c_str());
  for (const std::string& feature : kiln::Names(machine.isa)) std::printf(" %s", feature.c_str());
  std::printf(", pages of %lld bytes\n", static_cast<long long>(machine.page_bytes));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::printf("kiln-host %s\n", kiln::kVersion);
    return 0;
  }
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (argc == 2 && std::strcmp(argv[1], "--describe") == 0) {
    PrintDescription();
    return 0;
  }
  if (argc != 1) {
    std::fprintf(stderr, "kiln-host: unknown argument %s (see kiln-host --help)\n", argv[1]);
    return 2;
  }
  if (!IsSocket(kiln::kHelperSocket)) {
    std::fputs(
        "kiln-host: a helper that kiln-server starts; to run kernels use kiln or kiln-server\n",
        stderr);
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return kiln::ServeTrials(kiln::kHelperSocket);
}
