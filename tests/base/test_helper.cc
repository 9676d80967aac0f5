// The helper of helper_process_test and child_program_test: each request is a command.

#include <dirent.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/frame.h"
#include "base/helper_process.h"

namespace {

// The numbers of the open descriptors, "0 1 2 3", without the one that reads them.
std::string OpenDescriptors() {
  std::string text;
  DIR* directory = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == dirfd(directory)) continue;
    text += (text.empty() ? "" : " ") + std::string(entry->d_name);
  }
  closedir(directory);
  return text;
}

// A process of our group that waits for ever and holds our socket and output open.
std::string ForkOne() {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  return std::to_string(child);
}

std::unique_ptr<kiln::Reactor> reactor;
std::unique_ptr<kiln::HelperProcess> inner;

// A helper of this helper.
std::string StartInner(const char* self) {
  reactor = kiln::NewReactor();
  auto started = kiln::StartHelper(*reactor, {self, {}, "inner"});
  if (!started.ok()) return kiln::Message(started.status());
  inner = *std::move(started);
  return std::to_string(inner->pid());
}

std::string Obey(const std::string& request, char** argv) {
  if (request == "segfault") {
    signal(SIGSEGV, SIG_DFL);  // sanitizers have a handler that exits
    raise(SIGSEGV);
  }
  if (request == "exit") _exit(7);
  if (request == "complain") {
    std::fputs("first line\nno memory left\n", stderr);
    _exit(1);
  }
  if (request == "close") {
    close(kiln::kHelperSocket);
    for (;;) pause();
  }
  if (request == "work") {
    for (;;) {
    }
  }
  if (request == "wait") usleep(300'000);
  if (request == "hang") {
    for (;;) pause();
  }
  if (request == "descriptors") return OpenDescriptors();
  if (request == "arguments") return argv[1] ? argv[1] : "";
  if (request == "group") return std::to_string(getpgid(0));
  if (request == "fork") return ForkOne();
  if (request == "start inner") return StartInner(argv[0]);
  return request;
}

}  // namespace

int main(int, char** argv) {
  std::string request;
  while (kiln::ReadFrame(kiln::kHelperSocket, request)) {
    const bool last = request == "last words";
    if (!kiln::WriteFrame(kiln::kHelperSocket, Obey(request, argv))) return 1;
    if (last) _exit(0);
  }
}
