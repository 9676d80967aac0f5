#include "rpc_client/local_server.h"

#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "base/frame.h"
#include "base/helper_process.h"

namespace kiln {
namespace {

constexpr std::chrono::seconds kStartTime{30};
// A server that dies this often in so short a time would go on dying.
constexpr std::size_t kMaxStarts = 5;
constexpr std::chrono::minutes kStartsWindow{1};

// A directory with mode 0700, and its removal.
class PrivateDirectory {
 public:
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  PrivateDirectory(PrivateDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~PrivateDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

StatusOr<PrivateDirectory> MakePrivateDirectory() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  std::error_code none;
  const bool usable = runtime && std::filesystem::is_directory(runtime, none);
  std::string path = std::string(usable ? runtime : "/tmp") + "/kiln-XXXXXX";
  // A socket's path has a short limit.
  if (path.size() + sizeof "/device.sock" > sizeof sockaddr_un::sun_path) path = "/tmp/kiln-XXXXXX";
  if (!mkdtemp(path.data())) {
    return Error(StatusCode::kUnavailable, "cannot make a directory ", path, ": ",
                 std::strerror(errno));
  }
  return PrivateDirectory(std::move(path));
}

HelperOptions Command(std::string program, const LocalDeviceOptions& options,
                      const std::string& address) {
  HelperOptions command{std::move(program), {}, "kiln-server"};
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  // Named alike whatever its cores: records of trials keep the name.
  std::string name = *host ? host : "local";
  if (!options.emulated_cpu.empty()) name += "/" + options.emulated_cpu;
  command.arguments = {"--name",   name,    "--target",    options.target,
                       "--listen", address, "--parent-fd", std::to_string(kHelperSocket)};
  if (!options.emulator.empty()) {
    command.arguments.insert(command.arguments.end(),
                             {"--emulator", options.emulator, "--cpu", options.emulated_cpu});
  }
  if (!options.cores.empty()) {
    std::string list;
    for (const std::int32_t core : options.cores) {
      list += (list.empty() ? "" : ",") + std::to_string(core);
    }
    command.arguments.insert(command.arguments.end(), {"--cores", list});
  }
  return command;
}

class ChildServer final : public LocalServer {
 public:
  ChildServer(Reactor& reactor, PrivateDirectory directory, std::string address,
              HelperOptions command)
      : reactor_(reactor),
        directory_(std::move(directory)),
        address_(std::move(address)),
        command_(std::move(command)) {}

  const std::string& address() const override { return address_; }

  Status EnsureRunning() override {
    std::lock_guard lock(mutex_);
    if (helper_ && helper_->alive()) return absl::OkStatus();
    const SteadyTime now = std::chrono::steady_clock::now();
    std::erase_if(starts_, [&](SteadyTime start) { return now - start > kStartsWindow; });
    if (starts_.size() >= kMaxStarts) {
      return Error(StatusCode::kUnavailable, "kiln-server has died ", starts_.size(),
                   " times within a minute; the last time: ", LastWords());
    }
    starts_.push_back(now);
    helper_.reset();
    ASSIGN_OR_RETURN(helper_, StartHelper(reactor_, command_));
    // It answers the first frame when it serves.
    return helper_->Call("", kStartTime).status();
  }

 private:
  // A spent helper goes on saying how it died.
  std::string LastWords() {
    return helper_ ? Message(helper_->Call("", kStartTime).status()) : "unknown";
  }

  Reactor& reactor_;
  const PrivateDirectory directory_;
  const std::string address_;
  const HelperOptions command_;
  std::mutex mutex_;  // guards what follows
  std::unique_ptr<HelperProcess> helper_;
  std::deque<SteadyTime> starts_;
};

}  // namespace

StatusOr<std::unique_ptr<LocalServer>> StartLocalServer(Reactor& reactor,
                                                        const LocalDeviceOptions& options) {
  ASSIGN_OR_RETURN(const std::string program, FindHelper("kiln-server"));
  ASSIGN_OR_RETURN(PrivateDirectory directory, MakePrivateDirectory());
  const std::string address = "unix:" + directory.path() + "/device.sock";
  auto server = std::make_unique<ChildServer>(reactor, std::move(directory), address,
                                              Command(program, options, address));
  RETURN_IF_ERROR(server->EnsureRunning());
  return server;
}

}  // namespace kiln
