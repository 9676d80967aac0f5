#include "base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

namespace kiln {
namespace {

int output_error = 0;  // errno of the first write to standard output that failed

// stdio's buffer may fail late; the first reason is the one to tell.
void NoteOutputError() {
  if (output_error == 0) output_error = errno != 0 ? errno : EIO;
}

}  // namespace

void PrepareStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one. The wrong way to open it makes its use fail (EBADF).
    const int opened = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (opened != fd) _exit(1);  // no /dev/null and nowhere to say so
  }
  std::signal(SIGPIPE, SIG_IGN);
}

void WriteOutput(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) NoteOutputError();
}

void WriteOutputLine(std::string_view line) {
  WriteOutput(line);
  WriteOutput("\n");
}

bool FlushOutput() {
  errno = 0;
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) NoteOutputError();
  return output_error == 0;
}

void WriteError(std::string_view text) {
  // Standard error is not buffered: fwrite() is the whole way, and its failure is not ours.
  if (std::fwrite(text.data(), 1, text.size(), stderr) != text.size()) std::clearerr(stderr);
}

int FinishOutput(const char* program, int status) {
  if (FlushOutput()) return status;
  if (output_error != EPIPE) {
    WriteError(std::string(program) + ": cannot write the output: " + std::strerror(output_error) +
               "\n");
  }
  return status == 0 ? 1 : status;
}

}  // namespace kiln
