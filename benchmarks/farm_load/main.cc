// A load for the tracker: simulated devices, each with a connection of its own, and clients that
// lease them. Prints what a tracker does per second, and what that costs it and the load.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "apps/command_line/command_line.h"
#include "base/status.h"
#include "benchmarks/farm_load/farm.h"
#include "benchmarks/farm_load/load_loop.h"
#include "benchmarks/farm_load/workloads.h"

namespace kiln::load {
namespace {

struct Options {
  FarmOptions farm;
  double latency_ms = 0, late_by_ms = 7000, away_ms = 1000;
  CyclesOptions cycles;
  RenewalsOptions renewals;
  HeartbeatsOptions heartbeats;
  FairnessOptions fairness;
  DevicesOptions devices;
};

std::string DefaultTracker() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path().parent_path() / "kiln-tracker").string();
}

void AddTrackerOptions(CLI::App& app, TrackerOptions& tracker, CredentialFiles& files) {
  app.add_option("--tracker", tracker.address, "HOST:PORT of one that runs; else one is started");
  AddNumber<std::int32_t>(app, "--tracker-pid", tracker.pid, "of that one, to see what it takes",
                          {1});
  app.add_option("--tracker-program", tracker.program, "kiln-tracker, to be started")
      ->capture_default_str();
  app.add_option("--tracker-arg", tracker.arguments, "for it; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--tracker-log", tracker.log, "file for its log");
  app.add_option("--certs", files.directory,
                 "directory of ca.crt, crl.pem, tracker.crt, NAME.crt of each device, and keys");
  app.add_option("--client-cert", files.client, "name of the clients' certificate in it")
      ->capture_default_str();
  app.add_option("--ca", files.ca, "the authority's certificate, without --certs");
  app.add_option("--cert", files.cert, "a certificate for all, without --certs");
  app.add_option("--key", files.key, "its key");
  app.add_option("--crl", files.crl, "what the authority has revoked");
  app.add_option("--tls-name", files.tls_name, "name in the tracker's certificate");
}

void AddFarmOptions(CLI::App& app, Options& options) {
  FarmOptions& farm = options.farm;
  AddNumber<std::int32_t>(app, "--devices", farm.devices, "simulated devices", {1, 100'000})
      ->default_str("1000");
  AddNumber<std::int32_t>(app, "--clients", farm.clients, "clients, a connection each", {1, 10'000})
      ->default_str("50");
  AddNumber<double>(app, "--seconds", farm.seconds, "to measure for", {0.1, 1e6})
      ->default_str("10");
  AddNumber<double>(app, "--warm-up", farm.warm_up, "seconds before that", {0, 1e6})
      ->default_str("2");
  AddNumber<std::uint64_t>(app, "--seed", farm.seed, "of everything random")->default_str("1");
  app.add_option("--prefix", farm.prefix, "of the devices' names, before 0001")
      ->capture_default_str();
  app.add_option("--target", farm.device.target, "of the devices")->capture_default_str();
  app.add_option("--time-kind", farm.device.time_kind, "of the devices")->capture_default_str();
  app.add_option("--isa", farm.device.isa, "features of the devices, with commas")->delimiter(',');

  DeviceBehaviour& behaviour = farm.device.behaviour;
  AddNumber<double>(app, "--ack-ms", options.latency_ms, "from grant to acknowledgement", {0, 1e6})
      ->default_str("0");
  AddNumber<double>(app, "--ack-noise", behaviour.noise, "relative, of that", {0, 1})
      ->default_str("0");
  AddNumber<double>(app, "--drop", behaviour.drop,
                    "probability that a device drops its connection when granted", {0, 1})
      ->default_str("0");
  AddNumber<double>(app, "--silence", behaviour.silence, "that it ignores the grant", {0, 1})
      ->default_str("0");
  AddNumber<double>(app, "--late", behaviour.late, "that it answers late", {0, 1})
      ->default_str("0");
  AddNumber<double>(app, "--late-by-ms", options.late_by_ms, "how late", {0, 1e6})
      ->default_str("7000");
  AddNumber<double>(app, "--away-ms", options.away_ms, "until a dropped device is back", {0, 1e6})
      ->default_str("1000");
}

void AddWorkloads(CLI::App& app, Options& options) {
  CLI::App* cycles = app.add_subcommand("cycles", "acquire, acknowledge, release, in closed loops");
  AddNumber<std::int32_t>(*cycles, "--waiting", options.cycles.waiting,
                          "then beside so many requests for an unserved target", {0, 1'000'000})
      ->default_str("0");
  AddNumber<std::int32_t>(*cycles, "--waiting-clients", options.cycles.waiting_clients,
                          "over which they are spread", {1, 10'000})
      ->default_str("10");
  AddNumber<std::int32_t>(*cycles, "--rounds", options.cycles.rounds, "of both; medians count",
                          {1, 1000})
      ->default_str("1");
  CLI::App* renewals =
      app.add_subcommand("renewals", "every device leased, renewals in closed loops");
  AddNumber<std::int32_t>(*renewals, "--depth", options.renewals.depth,
                          "renewals under way a client, of the leases that it has", {1, 1000})
      ->default_str("16");
  CLI::App* heartbeats = app.add_subcommand("heartbeats", "idle devices: memory, descriptors");
  AddNumber<double>(*heartbeats, "--interval", options.heartbeats.interval, "seconds a line",
                    {0.5, 3600})
      ->default_str("10");
  CLI::App* fairness = app.add_subcommand("fairness", "two clients that want the same devices");
  AddNumber<std::int32_t>(*fairness, "--requests", options.fairness.requests,
                          "under way of the modest one", {1, 10'000})
      ->default_str("20");
  AddNumber<std::int32_t>(*fairness, "--factor", options.fairness.factor,
                          "as many has the greedy one", {1, 1000})
      ->default_str("10");
  AddNumber<std::int32_t>(*fairness, "--priority", options.fairness.priority, "of the urgent one")
      ->default_str("100");
  AddNumber<double>(*fairness, "--hold-ms", options.fairness.hold_ms, "how long a lease is held",
                    {0, 1e6})
      ->default_str("20");
  CLI::App* devices =
      app.add_subcommand("devices", "only devices, which measure made-up times, until Ctrl-C");
  AddNumber<double>(*devices, "--trial-ms", options.devices.trial_ms, "a measurement takes",
                    {0, 1e6})
      ->default_str("1");
  AddNumber<double>(*devices, "--kernel-us", options.devices.kernel_us, "a kernel is said to take",
                    {0.001, 1e9})
      ->default_str("100");
  AddNumber<double>(*devices, "--noise", options.devices.noise, "of a sample, relative", {0, 10})
      ->default_str("0.01");
  app.require_subcommand(1);
  for (CLI::App* command : {cycles, renewals, heartbeats, fairness, devices})
    command->fallthrough();
}

Status Run(const CLI::App& app, Options options) {
  DeviceBehaviour& behaviour = options.farm.device.behaviour;
  behaviour.latency = Seconds(options.latency_ms / 1000);
  behaviour.late_by = Seconds(options.late_by_ms / 1000);
  behaviour.away = Seconds(options.away_ms / 1000);
  const std::string workload = app.get_subcommands().front()->get_name();
  std::unique_ptr<MeasureServer> server;
  options.farm.device.face = [](const std::string&) {
    return DeviceFace{"127.0.0.1:1", nullptr};  // nobody dials it
  };
  // Before the measure server has threads here: it may fork.
  ASSIGN_OR_RETURN(TrackerProcess tracker, Farm::OpenTracker(options.farm));
  if (workload == "devices") {
    ASSIGN_OR_RETURN(server, StartMeasureServer(options.farm, options.devices));
    options.farm.device.face = [&](const std::string& name) { return server->FaceOf(name); };
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Farm> farm, Farm::Open(options.farm, std::move(tracker)));
  Status status;
  if (workload == "cycles") status = RunCycles(*farm, options.cycles);
  if (workload == "renewals") status = RunRenewals(*farm, options.renewals);
  if (workload == "heartbeats") status = RunHeartbeats(*farm, options.heartbeats);
  if (workload == "fairness") status = RunFairness(*farm, options.fairness);
  if (workload == "devices") status = RunDevices(*farm, *server);
  farm->Close();
  if (workload == "devices") return status;  // being interrupted is how it ends
  return LoadLoop::interrupted() ? Error(StatusCode::kCancelled, "interrupted") : status;
}

int Main(int argc, char** argv) {
  CLI::App app("Loads a Kiln tracker with simulated devices and clients.", "farm_load");
  app.footer(
      "Examples:\n"
      "  farm_load cycles                                       1,000 devices, 50 clients\n"
      "  farm_load cycles --waiting 2000 --rounds 3\n"
      "  farm_load renewals --devices 3000\n"
      "  farm_load heartbeats --devices 10000 --seconds 120\n"
      "  farm_load fairness --devices 10\n"
      "  farm_load devices --tracker 127.0.0.1:9190 --devices 4 --target native\n"
      "It starts a tracker of its own unless --tracker names one. A tracker on the same machine\n"
      "shares its cores with the load: the table says what each of them takes.");
  Options options;
  options.farm.tracker.program = DefaultTracker();
  options.farm.device.target = "simulated";
  AddTrackerOptions(app, options.farm.tracker, options.farm.credentials);
  AddFarmOptions(app, options);
  AddWorkloads(app, options);
  if (const std::optional<int> status = ParseCommandLine(app, argc, argv)) return *status;
  LoadLoop::CatchSignals();
  const Status status = Run(app, options);
  std::fflush(stdout);
  return status.ok() ? 0 : ReportError("farm_load", status);
}

}  // namespace
}  // namespace kiln::load

int main(int argc, char** argv) { return kiln::load::Main(argc, argv); }
