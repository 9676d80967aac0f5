#include "tests/integration/programs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "tests/integration/start_program.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string Content(int file) {
  std::string text;
  char block[4096];
  for (ssize_t n; (n = pread(file, block, sizeof block, static_cast<off_t>(text.size()))) > 0;) {
    text.append(block, static_cast<std::size_t>(n));
  }
  return text;
}

// Rarely enough that what is waited for, at the lowest priority, gets the processor.
void Nap() { poll(nullptr, 0, 20); }

// This is what a path of Streams stands for, closed with it; an empty path for `own`, which is not.
class OpenedStream {
 public:
  OpenedStream(const std::string& path, int flags, int own) : fd_(own), is_own_(path.empty()) {
    if (is_own_) return;
    fd_ = path == kClosed ? -1 : open(path.c_str(), flags | O_CLOEXEC);
    EXPECT_TRUE(fd_ >= 0 || path == kClosed) << path << " cannot be opened";
  }
  OpenedStream(const OpenedStream&) = delete;
  OpenedStream& operator=(const OpenedStream&) = delete;
  ~OpenedStream() {
    if (!is_own_ && fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
  const bool is_own_;
};

}  // namespace

std::string ProgramPath(const std::string& name) {
  return (fs::read_symlink("/proc/self/exe").parent_path().parent_path() / name).string();
}

Scratch::Scratch() {
  std::string pattern = (fs::temp_directory_path() / "kiln-XXXXXX").string();
  if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  EXPECT_FALSE(path_.empty()) << "no directory " << pattern;
}

Scratch::~Scratch() {
  std::error_code none;
  if (!path_.empty()) fs::remove_all(path_, none);
}

std::string Scratch::Write(const std::string& name, const std::string& bytes) const {
  std::ofstream(Path(name), std::ios::binary) << bytes;
  return Path(name);
}

void Scratch::Set(const std::string& variable, const std::string& value) {
  set_.push_back(variable + "=" + value);
}

void Scratch::SetHost(const std::string& program) {
  fs::create_directory(Path("libexec"));
  fs::create_symlink(program, Path("libexec/kiln-host"));
  Set("KILN_LIBEXEC", Path("libexec"));
}

std::vector<std::string> Scratch::Environment() const {
  constexpr std::string_view kReplaced[] = {"KILN_", "XDG_", "HOME="};
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (std::ranges::none_of(kReplaced, [&](auto start) { return text.starts_with(start); })) {
      variables.emplace_back(text);
    }
  }
  variables.push_back("HOME=" + path_);
  variables.push_back("KILN_DB=" + database());
  for (const char* name : {"XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"}) {
    fs::create_directories(Path(name));
    fs::permissions(Path(name), fs::perms::owner_all);
    variables.push_back(std::string(name) + "=" + Path(name));
  }
  variables.push_back("KILN_TEST_CORE_LOCKS=" + Path("core-locks"));
  variables.insert(variables.end(), set_.begin(), set_.end());
  return variables;
}

RunningProgram::RunningProgram(const Scratch& scratch, const std::vector<std::string>& command,
                               const Streams& streams)
    : out_(memfd_create("out", MFD_CLOEXEC)), err_(memfd_create("err", MFD_CLOEXEC)) {
  const OpenedStream in(streams.in, O_RDONLY, -1), out(streams.out, O_WRONLY, out_),
      err(streams.err, O_WRONLY, err_);
  pid_ = StartProgram(ProgramPath(command[0]), command, scratch.Environment(),
                      {in.fd(), out.fd(), err.fd(), streams.helper});
  if (pid_ > 0) pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
}

RunningProgram::~RunningProgram() {
  if (pid_ > 0) {
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (const int file : {pidfd_, out_, err_}) {
    if (file >= 0) close(file);
  }
}

std::string RunningProgram::out() const { return Content(out_); }
std::string RunningProgram::err() const { return Content(err_); }

void RunningProgram::Signal(int signal) { EXPECT_EQ(kill(pid_, signal), 0); }
void RunningProgram::SignalGroup(int signal) { EXPECT_EQ(kill(-pid_, signal), 0); }

bool RunningProgram::ended() const {
  pollfd end{pidfd_, POLLIN, 0};
  return pid_ <= 0 || poll(&end, 1, 0) == 1;
}

bool RunningProgram::WaitUntil(const std::function<bool()>& condition,
                               std::chrono::seconds patience) const {
  for (const auto deadline = Clock::now() + patience; Clock::now() < deadline; Nap()) {
    const bool was_last = ended();
    if (condition()) return true;
    if (was_last) return false;
  }
  return false;
}

std::string RunningProgram::Address() const {
  constexpr std::string_view kListening = "listening on ";
  const bool announced = WaitUntil([this] { return out().ends_with('\n'); });
  const std::string line = out();
  const bool listens = announced && line.starts_with(kListening);
  EXPECT_TRUE(listens) << line << err();
  return listens ? line.substr(kListening.size(), line.find('\n') - kListening.size()) : "";
}

Outcome RunningProgram::Wait(std::chrono::seconds patience) {
  if (pid_ <= 0) return {-SIGKILL, "", "was not started"};
  pollfd end{pidfd_, POLLIN, 0};
  const auto milliseconds = std::chrono::milliseconds(patience).count();
  if (poll(&end, 1, static_cast<int>(milliseconds)) != 1) {
    ADD_FAILURE() << "still runs after " << patience.count() << " s; it said:\n" << err();
    kill(-pid_, SIGKILL);
  }
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return {WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), out(), err()};
}

Outcome RunProgram(const Scratch& scratch, const std::vector<std::string>& command,
                   std::chrono::seconds patience, const Streams& streams) {
  return RunningProgram(scratch, command, streams).Wait(patience);
}

std::vector<Process> Descendants(pid_t pid) {
  std::vector<Process> found;
  std::error_code none;
  for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task", none)) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) {
      std::ifstream name("/proc/" + std::to_string(child) + "/comm");
      Process process{child, {}};
      std::getline(name, process.name);
      found.push_back(process);
      for (Process& below : Descendants(child)) found.push_back(std::move(below));
    }
  }
  return found;
}

bool AdoptOrphans() { return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0; }

bool ReapOrphans(std::chrono::seconds patience) {
  for (const auto deadline = Clock::now() + patience; Clock::now() < deadline;) {
    const pid_t reaped = waitpid(-1, nullptr, WNOHANG);
    if (reaped < 0 && errno == ECHILD) return true;
    if (reaped == 0) Nap();
  }
  return false;
}

bool IsOneLine(const std::string& text) {
  return text.size() > 1 && text.find('\n') == text.size() - 1;
}

Outcome KilnTest::Kiln(std::vector<std::string> arguments, std::chrono::seconds patience) const {
  arguments.insert(arguments.begin(), "kiln");
  return RunProgram(scratch_, arguments, patience);
}

Outcome KilnTest::ExpectKiln(int status, std::vector<std::string> arguments,
                             std::chrono::seconds patience) const {
  std::string command = "kiln";
  for (const std::string& argument : arguments) command += " " + argument;
  Outcome outcome = Kiln(std::move(arguments), patience);
  EXPECT_EQ(outcome.status, status) << command << "\n" << outcome.out << outcome.err;
  return outcome;
}

}  // namespace kiln
