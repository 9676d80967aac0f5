#include "benchmarks/farm_load/tracker_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

namespace kiln::load {
namespace {

std::string ProcPath(pid_t pid, const std::string& file) {
  return "/proc/" + (pid == 0 ? std::string("self") : std::to_string(pid)) + "/" + file;
}

// The number after "NAME:" in /proc/PID/status; pid 0: of this process.
std::size_t StatusNumber(pid_t pid, const std::string& name) {
  std::ifstream file(ProcPath(pid, "status"));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) {
      return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10);
    }
  }
  return 0;
}

std::size_t Descriptors(pid_t pid) {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator it(ProcPath(pid, "fd"), error), end; it != end;
       it.increment(error)) {
    ++count;
  }
  return count;
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

// Peers with an established connection to the port, as in /proc/net/tcp: lines of
// "N: LOCAL:PORT REMOTE:PORT STATE ...", in hexadecimal; state 01 is established.
void CollectPeers(const std::string& path, unsigned port, std::set<std::string>* peers) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // the heading
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string number, local, remote, state;
    words >> number >> local >> remote >> state;
    const std::size_t colon = local.rfind(':');
    if (state != "01" || colon == std::string::npos) continue;
    if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port) peers->insert(remote);
  }
}

[[noreturn]] void Exec(const TrackerOptions& options, pid_t parent, int output) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);
  const std::string log = options.log.empty() ? "/dev/null" : options.log;
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0) dup2(file, STDERR_FILENO);
  dup2(output, STDOUT_FILENO);
  setpgid(0, 0);  // the user's Ctrl-C is for the load generator, which ends the tracker afterwards
  // The load's clients are one caller over TLS, and are not to be slowed down as such.
  std::vector<std::string> words = {options.program, "--listen", "127.0.0.1:0", "--max-rate",
                                    "1000000"};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

std::string ReadLine(int fd) {
  std::string line;
  for (char c = 0; read(fd, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

}  // namespace

CpuTime OwnCpuTime() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {Seconds(usage.ru_utime), Seconds(usage.ru_stime)};
}

std::size_t OwnDescriptors() { return Descriptors(0); }
std::size_t OwnRssKib() { return StatusNumber(0, "VmRSS"); }

std::size_t RaiseDescriptorLimit(std::size_t wanted) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  const rlimit more{wanted, std::max<rlim_t>(wanted, limit.rlim_max)};
  const rlimit most{limit.rlim_max, limit.rlim_max};
  if (limit.rlim_max >= wanted || setrlimit(RLIMIT_NOFILE, &more) != 0) {
    setrlimit(RLIMIT_NOFILE, &most);
  }
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

StatusOr<TrackerProcess> TrackerProcess::Open(const TrackerOptions& options) {
  if (!options.address.empty()) {
    return TrackerProcess(options.address, options.pid, false, -1);
  }
  if (access(options.program.c_str(), X_OK) != 0) {
    return Error(StatusCode::kNotFound, "there is no program ", options.program,
                 ": build kiln-tracker, or give --tracker-program or --tracker");
  }
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return Error(StatusCode::kUnavailable, "no pipe");
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Exec(options, parent, pipe_ends[1]);
  close(pipe_ends[1]);
  if (pid < 0) return Error(StatusCode::kUnavailable, "cannot fork: ", std::strerror(errno));
  TrackerProcess tracker("", pid, true, pipe_ends[0]);
  constexpr std::string_view kAnnounced = "listening on ";
  const std::string line = ReadLine(pipe_ends[0]);
  if (!line.starts_with(kAnnounced)) {
    return Error(
        StatusCode::kUnavailable, options.program, " did not start; ",
        options.log.empty() ? "--tracker-log FILE keeps what it says" : "see " + options.log);
  }
  tracker.address_ = line.substr(kAnnounced.size());
  return tracker;
}

TrackerProcess::TrackerProcess(TrackerProcess&& other) noexcept
    : address_(std::move(other.address_)),
      pid_(other.pid_),
      child_(std::exchange(other.child_, false)),
      output_(std::exchange(other.output_, -1)) {}

TrackerProcess::~TrackerProcess() {
  if (child_) {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  if (output_ >= 0) close(output_);
}

CpuTime TrackerProcess::cpu_time() const {
  std::ifstream file(ProcPath(pid_, "stat"));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t name_end = text.rfind(')');  // the program's name may contain anything
  if (!visible() || name_end == std::string::npos) return {};
  std::istringstream words(text.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) words >> skipped;
  double user = 0, system = 0;
  words >> user >> system;
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {user / ticks, system / ticks};
}

std::size_t TrackerProcess::rss_kib() const { return visible() ? StatusNumber(pid_, "VmRSS") : 0; }
std::size_t TrackerProcess::threads() const {
  return visible() ? StatusNumber(pid_, "Threads") : 0;
}
std::size_t TrackerProcess::descriptors() const { return visible() ? Descriptors(pid_) : 0; }

std::size_t TrackerProcess::connections() const {
  const std::size_t colon = address_.rfind(':');
  if (!visible() || colon == std::string::npos) return 0;
  const auto port = static_cast<unsigned>(std::strtoul(address_.c_str() + colon + 1, nullptr, 10));
  std::set<std::string> peers;
  CollectPeers(ProcPath(pid_, "net/tcp"), port, &peers);
  CollectPeers(ProcPath(pid_, "net/tcp6"), port, &peers);
  return peers.size();
}

}  // namespace kiln::load
