#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "apps/command_line/command_line.h"
#include "apps/serving/metrics_page.h"
#include "apps/serving/serving.h"
#include "base/helper_process.h"
#include "base/standard_streams.h"
#include "base/version.h"
#include "ops/target.h"
#include "proto/certificates.h"
#include "proto/transport.h"
#include "rpc_server/cores.h"
#include "rpc_server/device_metrics.h"
#include "rpc_server/device_service.h"
#include "rpc_server/tracker_link.h"
#include "rpc_tracker/tracker_service.h"

namespace kiln {
namespace {

// A trial under way may end before the program does; kiln-host dies with it.
constexpr std::chrono::seconds kEnding{3};

struct Options {
  std::string tracker;  // empty: it has one of its own inside
  std::string target;
  std::string name;
  std::vector<std::string> labels;
  std::string cores;
  std::string emulator, emulated_cpu;  // empty: kernels run on this machine
  std::string metrics;                 // empty: none
  ListenOptions listen{.traffic = kDeviceTraffic};
  std::int32_t parent_fd = -1;
};

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return *name ? name : "device";
}

// The program that runs kernels for the target, with its arguments in front of its own.
struct HostCommand {
  std::string program;
  std::vector<std::string> arguments;
};

StatusOr<HostCommand> CommandFor(const Options& options, const Target& target) {
  HostCommand command;
  if (options.emulator.empty()) {
    ASSIGN_OR_RETURN(command.program, FindHelper("kiln-host"));
    return command;
  }
  ASSIGN_OR_RETURN(const Target native, DetectNative());
  ASSIGN_OR_RETURN(command.program, FindProgram(options.emulator));
  ASSIGN_OR_RETURN(
      const std::string host,
      FindHelper(target.arch == native.arch ? "kiln-host" : "kiln-host-" + target.arch));
  command.arguments = {"-cpu", options.emulated_cpu, host};
  return command;
}

// What kernels find themselves on. Only the host can know an emulated machine.
StatusOr<Target> DetectMachine(const Options& options, HostProcess& host) {
  if (options.emulator.empty()) return DetectNative();
  ASSIGN_OR_RETURN(const HostDescription description, host.Describe());
  Target machine;
  machine.name = options.emulated_cpu + " emulated by " + options.emulator;
  machine.arch = description.arch;
  machine.isa = description.isa;
  return machine;
}

// Devices of one machine, on different cores or emulated, differ.
std::string DefaultName(const Options& options) {
  std::string name = HostName();
  if (!options.emulated_cpu.empty()) name += "/" + options.emulated_cpu;
  if (!options.cores.empty()) name += "/" + options.cores;
  return name;
}

// A device with a certificate has its name.
StatusOr<std::string> NameOf(const Options& options) {
  const bool open = !IsUnixAddress(options.listen.address) ||
                    !(options.tracker.empty() || IsUnixAddress(options.tracker));
  if (!options.listen.tls.enabled() || !open) {
    return options.name.empty() ? DefaultName(options) : options.name;
  }
  RETURN_IF_ERROR(CheckTlsFiles(options.listen.tls, Role::kDevice, SystemClock().Today()));
  ASSIGN_OR_RETURN(const Certificate certificate, ReadCertificateFile(options.listen.tls.cert));
  if (!options.name.empty() && options.name != certificate.principal->name) {
    return UsageError("--name ", options.name, " is not that of ", options.listen.tls.cert,
                      ", which is ", certificate.principal->name, ": leave it out");
  }
  return certificate.principal->name;
}

std::string Advice(const Options& options, const Target& target, const Target& machine) {
  if (options.emulator.empty()) return "try --target native, or --emulator";
  std::string missing;
  for (const std::string& name : Names(target.isa & ~machine.isa)) missing += " " + name;
  return missing.empty() ? "it is " + machine.arch + ", not " + target.arch
                         : "it lacks" + missing + "; --cpu names another processor";
}

StatusOr<DeviceIdentity> Identify(const Options& options, const Target& target,
                                  const Target& machine) {
  if (!CanRun(machine, target)) {
    return Error(StatusCode::kFailedPrecondition, options.emulator.empty() ? "this machine (" : "",
                 machine.name, options.emulator.empty() ? ")" : "", " cannot run code for ",
                 target.name, ": ", Advice(options, target, machine));
  }
  DeviceIdentity identity;
  identity.target = target.name;
  identity.isa = Names(machine.isa);
  identity.build = std::string("kiln-server ") + kVersion;
  identity.time_kind = options.emulator.empty() ? TimeKind::kMeasured : TimeKind::kEmulated;
  ASSIGN_OR_RETURN(identity.name, NameOf(options));
  if (!IsName(identity.name)) {
    return UsageError("a device's --name has 1 to 128 printable characters without spaces, not `",
                      identity.name, "`");
  }
  identity.cores = UsableCores();
  if (!options.cores.empty()) {
    ASSIGN_OR_RETURN(identity.cores, AsUsageError(ParseCores(options.cores, identity.cores)));
  }
  for (const std::string& label : options.labels) {
    const std::size_t equals = label.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return UsageError("cannot read --label ", label, ": want KEY=VALUE");
    }
    const std::string key = label.substr(0, equals), value = label.substr(equals + 1);
    if (!IsName(key) || !IsText(value)) {
      return UsageError(
          "cannot use --label ", label,
          ": a key has 1 to 128 printable characters without spaces, a value at most 256 bytes "
          "without control characters");
    }
    identity.labels[key] = value;
  }
  return identity;
}

// A server that is its own tracker knows itself by its name, wherever it is.
TrackerLinkOptions LinkOptions(const Options& options, const DeviceIdentity& identity,
                               const std::string& address) {
  if (!options.tracker.empty()) {
    return {options.tracker, {options.listen.tls, ""}, address, identity};
  }
  return {address, {options.listen.tls, DeviceHostName(identity.name)}, "", identity};
}

Status Serve(const Options& options) {
  LogToStandardError();
  RaiseDescriptorLimit();
  ASSIGN_OR_RETURN(const Target target, TargetOption(options.target));
  ASSIGN_OR_RETURN(HostCommand command, CommandFor(options, target));
  const std::unique_ptr<Reactor> reactor = NewReactor();
  auto host = NewHostProcess(*reactor, std::move(command.program), std::move(command.arguments));
  ASSIGN_OR_RETURN(const Target machine, DetectMachine(options, *host));
  ASSIGN_OR_RETURN(const DeviceIdentity identity, Identify(options, target, machine));
  const MetricsOptions page{options.metrics, options.listen.insecure};
  ASSIGN_OR_RETURN(const auto metrics, MetricsIfAsked(page, MetricSource::kServer));
  if (metrics) host = WithMetrics(std::move(host), identity, *metrics);
  ASSIGN_OR_RETURN(auto core_lock, OpenCoreLock(CoreLockDirectory(), identity.cores));

  const std::shared_ptr<ServingLife> life = NewServingLife(*reactor);
  LeaseFence fence;
  ASSIGN_OR_RETURN(const auto peers, CheckPeers(options.listen, Role::kDevice, SystemClock()));
  const auto device = NewDeviceService(identity, fence, *peers,
                                       NewMeasureQueue(std::move(host), std::move(core_lock)));
  // Without a tracker it is a farm of one: the same tracker, in this process.
  const bool alone = options.tracker.empty();
  const auto tracker = alone ? NewTrackerService(*reactor, SystemClock(), *peers, {}) : nullptr;
  std::vector<grpc::Service*> services{&device->service()};
  if (alone) services.push_back(&tracker->service());

  ASSIGN_OR_RETURN(const auto metrics_server, ServeMetrics(*reactor, page, metrics.get()));
  ASSIGN_OR_RETURN(auto server, ListenAsAsked(options.listen, services));
  const std::string address = server->address();
  WarnIfOpen(options.listen, address, "run native code here");
  auto link = NewTrackerLink(*reactor, fence, LinkOptions(options, identity, address));
  AnnounceAddress(address);
  spdlog::info(
      "{} serves {} on {} cores{}", identity.name, identity.target, identity.cores.size(),
      options.emulator.empty() ? "" : ", emulated: its times are not those of a real device");
  if (options.parent_fd >= 0) life->FollowParent(options.parent_fd, address);
  life->AwaitEnd();
  life->LimitEnding(kEnding);
  link.reset();  // no new lease comes
  server.reset();
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  PrepareStandardStreams();
  CLI::App app("One measuring device of a Kiln farm: runs kernels for whoever holds its lease.",
               "kiln-server");
  app.footer(
      "Examples:\n"
      "  kiln-server --tracker farm.local:9190 --target native --listen 0.0.0.0:0 --ca ca.crt \\\n"
      "    --cert pi-3.crt --key pi-3.key --crl crl.pem    on a network, over TLS\n"
      "  kiln-server --tracker 10.0.0.1:9190 --target native --listen 10.0.0.7:0 --insecure\n"
      "  kiln-server --tracker 127.0.0.1:9190 --target native --cores 2-3 --label rack=4\n"
      "  kiln-server --tracker 127.0.0.1:9190 --target rasp4b --emulator qemu-aarch64 "
      "--cpu cortex-a72\n"
      "  kiln-server --target native                       a farm of its own, on this machine\n"
      "  kiln tune --network mobilenet_v1 --target native --tracker 127.0.0.1:40123\n"
      "It prints the address that it listens on. Without --tracker that is also the tracker's.");
  app.set_version_flag("--version", std::string("kiln-server ") + kVersion);
  Options options;
  app.add_option("--tracker", options.tracker, "HOST:PORT of the farm's kiln-tracker")
      ->check(CheckServerAddress);
  app.add_option("--target", options.target,
                 "what it serves: a name of `kiln targets`, a file, or native")
      ->required();
  app.add_option("--name", options.name,
                 "unique on the farm; default: that of the certificate, or the host's name, with "
                 "--cpu and --cores");
  app.add_option("--label", options.labels,
                 "KEY=VALUE, shown by `kiln devices --json`; may be repeated");
  app.add_option("--listen", options.listen.address,
                 "HOST:PORT or unix:PATH; port 0: the system picks")
      ->capture_default_str();
  app.add_option("--cores", options.cores, "cores to measure on, like 0,2-3; default: all");
  auto* emulator = app.add_option("--emulator", options.emulator,
                                  "run kernels under this program (qemu-aarch64): a device without "
                                  "its hardware, whose times are marked as emulated");
  auto* cpu = app.add_option("--cpu", options.emulated_cpu,
                             "the processor that it emulates, as it calls it: cortex-a72");
  emulator->needs(cpu);
  cpu->needs(emulator);
  AddCredentials(app, options.listen.tls, CredentialUse::kToServe);
  app.add_flag("--insecure", options.listen.insecure,
               "allow to listen beyond this machine without TLS");
  AddMetricsOption(app, options.metrics);
  AddNumber<std::int32_t>(
      app, "--parent-fd", options.parent_fd,
      "for programs that start this one: a stream socket; it ends when that does", {0, 1 << 20});
  AddSelfDescription(app);
  if (const std::optional<int> status = ParseCommandLine(app, argc, argv)) return *status;
  return EndServing("kiln-server", Serve(options));
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) { return kiln::Main(argc, argv); }
