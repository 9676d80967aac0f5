#include "estimate/block_counter.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/helper_process.h"
#include "base/paths.h"
#include "base/read_file.h"
#include "estimate/block_counts.h"
#include "kernel_host/host_protocol.h"
#include "ops/isa.h"
#include "ops/op_data.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStartTimeOut{60};
constexpr char kHostName[] = "kiln-count-host";

StatusOr<std::string> FindEmulator(const std::string& name) {
  StatusOr<std::string> program = FindProgram(name);
  if (program.ok()) return program;
  return Error(StatusCode::kNotFound, "no ", name,
               " in $PATH, which counts what kernels execute (Debian: apt install qemu-user)");
}

StatusOr<std::string> FindCountHost(const std::string& arch) {
  StatusOr<std::string> program = FindHelper(std::string(kHostName) + "-" + arch);
  if (program.ok()) return program;
  return Error(StatusCode::kNotFound, Message(program.status()),
               "; it is built where there is a compiler for ", arch, " (Debian: apt install g++-",
               arch == "x86_64" ? "x86-64" : arch, "-linux-gnu)");
}

// A directory that only this user can enter; gone with the object.
class PrivateDirectory {
 public:
  static StatusOr<std::unique_ptr<PrivateDirectory>> Create() {
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "kiln-count.XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) {
      return Error(StatusCode::kUnavailable, "cannot make a directory like ", name, ": ",
                   error ? error.message() : std::strerror(errno));
    }
    return std::unique_ptr<PrivateDirectory>(new PrivateDirectory(std::move(name)));
  }
  ~PrivateDirectory() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  PrivateDirectory(const PrivateDirectory&) = delete;
  PrivateDirectory& operator=(const PrivateDirectory&) = delete;

  std::string file(const char* name) const { return path_ / name; }

 private:
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  const fs::path path_;
};

HostRequest HostRequestOf(const RunRequest& request) {
  HostRequest host;
  host.object = *request.artifact->object;
  host.symbol = request.artifact->symbol;
  host.workload = request.workload;
  for (const RunCase& each : request.cases) {
    HostCase& host_case = host.cases.emplace_back();
    host_case.set = each.set;
    host_case.seed = each.seed;
    host_case.check = each.check;
    host_case.expected_digest = each.expected_digest;
    if (each.explicit_case == nullptr) continue;
    host_case.source = HostCase::Source::kExplicit;
    host_case.explicit_case = Serialize(*each.explicit_case);
  }
  host.plan.time = false;
  return host;
}

std::string NamesOf(IsaMask features) {
  std::string names;
  for (int bit = 0; bit < 64; ++bit) {
    if (features >> bit & 1) names += ' ' + std::string(Name(static_cast<IsaFeature>(bit)));
  }
  return names;
}

class EmulatedCounter final : public BlockCounter {
 public:
  EmulatedCounter(Reactor& reactor, const EmulatedCounterOptions& options, HelperOptions helper,
                  std::unique_ptr<PrivateDirectory> directory, std::string counts)
      : reactor_(reactor),
        options_(options),
        helper_(std::move(helper)),
        directory_(std::move(directory)),
        counts_(std::move(counts)) {}

  // Starts the emulator unless it runs, and asks what it emulates.
  Status Start() {
    if (process_ && process_->alive()) return absl::OkStatus();
    ASSIGN_OR_RETURN(process_, StartHelper(reactor_, helper_));
    const StatusOr<std::string> greeting = process_->Call({}, kStartTimeOut);
    IsaMask machine = 0;
    if (!greeting.ok() || greeting->size() != sizeof machine) {
      return Error(StatusCode::kFailedPrecondition, helper_.program,
                   " does not run kiln-count-host with its plugin (Debian's qemu-user does, "
                   "qemu-user-static does not): ",
                   greeting.ok() ? "it gave no greeting" : Message(greeting.status()));
    }
    std::memcpy(&machine, greeting->data(), sizeof machine);
    if (const IsaMask missing = options_.isa & ~machine) {
      return Error(StatusCode::kFailedPrecondition, helper_.program, " does not emulate",
                   NamesOf(missing), ", which the target's kernels use: no estimates for it here");
    }
    return absl::OkStatus();
  }

  StatusOr<std::variant<std::vector<CountedBlock>, Failure>> Count(
      const RunRequest& request) override {
    RETURN_IF_ERROR(Start());
    const StatusOr<std::string> answer =
        process_->Call(Serialize(HostRequestOf(request)), options_.time_out);
    if (!answer.ok()) return DeathOf(answer.status());
    HostReply reply;
    if (!Deserialize(*answer, reply)) {
      return Error(StatusCode::kInternal, kHostName, " is not of this version of Kiln");
    }
    if (auto* failure = std::get_if<Failure>(&reply.outcome)) return std::move(*failure);
    return ReadCounts();
  }

 private:
  // The emulator ran before and will again: it was this kernel.
  StatusOr<std::variant<std::vector<CountedBlock>, Failure>> DeathOf(const Status& status) {
    process_.reset();
    switch (status.code()) {
      case StatusCode::kDeadlineExceeded:
        return Failure{Stage::kRun, FailureKind::kTimeout, "not counted in time"};
      case StatusCode::kUnavailable:
        return Failure{Stage::kRun, FailureKind::kRuntimeError, Message(status)};
      default:
        return status;
    }
  }

  StatusOr<std::variant<std::vector<CountedBlock>, Failure>> ReadCounts() const {
    ASSIGN_OR_RETURN(const std::vector<std::uint8_t> file, ReadFile(counts_));
    ASSIGN_OR_RETURN(std::vector<CountedBlock> blocks,
                     ParseBlockCounts(std::string(file.begin(), file.end())));
    return blocks;
  }

  Reactor& reactor_;
  const EmulatedCounterOptions options_;
  const HelperOptions helper_;
  const std::unique_ptr<PrivateDirectory> directory_;
  const std::string counts_;
  std::unique_ptr<HelperProcess> process_;
};

}  // namespace

StatusOr<std::unique_ptr<BlockCounter>> NewEmulatedCounter(Reactor& reactor,
                                                           const EmulatedCounterOptions& options) {
  ASSIGN_OR_RETURN(const std::string emulator, FindEmulator("qemu-" + options.arch));
  ASSIGN_OR_RETURN(const std::string host, FindCountHost(options.arch));
  ASSIGN_OR_RETURN(const std::string plugin, FindHelper("kiln-count-plugin.so"));
  ASSIGN_OR_RETURN(std::unique_ptr<PrivateDirectory> directory, PrivateDirectory::Create());
  std::string counts = directory->file("counts");
  HelperOptions helper;
  helper.program = emulator;
  helper.arguments = {"-cpu", "max", "-plugin", plugin + ",out=" + counts, host};
  helper.name = kHostName;
  auto counter = std::make_unique<EmulatedCounter>(reactor, options, std::move(helper),
                                                   std::move(directory), std::move(counts));
  RETURN_IF_ERROR(counter->Start());
  return counter;
}

}  // namespace kiln
