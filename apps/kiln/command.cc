#include "apps/kiln/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <utility>

#include "base/clock.h"
#include "base/duration.h"
#include "ops/workload_key.h"
#include "proto/address.h"
#include "proto/certificates.h"

namespace kiln {

void AddWhat(CLI::App& command, What& what) {
  // A heading of the help. Not one of CLI11's option groups: it takes an empty word for such a
  // group's name and parses for ever (2.1.2).
  constexpr char kGroup[] = "What to work on";
  command.add_option("--model", what.model, "a quantized network")
      ->type_name("FILE.tflite")
      ->group(kGroup);
  command
      .add_option("--network", what.network,
                  "a built-in network: mobilenet_v1, mobilenet_v2, resnet18, inception_v1, "
                  "inception_v3")
      ->group(kGroup);
  command.add_option("--layers", what.layers, "a table of layers (peers' or workload columns)")
      ->type_name("FILE.csv")
      ->group(kGroup);
  command.add_option("--workload", what.workloads, "workload keys")
      ->type_name("KEY...")
      ->group(kGroup);
  AddLayerListOptions(command, what.list, "layers-");
}

void AddLayerListOptions(CLI::App& command, LayerListOptions& list, const std::string& prefix) {
  const std::map<std::string, DataType> types{
      {"i8", DataType::kI8}, {"u8s8", DataType::kU8S8}, {"u8", DataType::kU8}};
  command
      .add_option_function<DataType>(
          "--" + prefix + "type", [&list](const DataType& type) { list.type = type; },
          "type of a layer list (i8 unless said): s8 or u8 activations and s8 weights; u8: the "
          "legacy one, uint8 with a zero point for activations and weights, a scale per tensor")
      ->transform(CLI::CheckedTransformer(types).description(""))
      ->type_name("i8|u8s8|u8");
  const std::map<std::string, std::optional<Activation>> acts{{"as-listed", std::nullopt},
                                                              {"none", Activation::kNone},
                                                              {"lo", Activation::kLo},
                                                              {"lohi", Activation::kLoHi}};
  command
      .add_option_function<std::string>(
          "--" + prefix + "act", [&list, acts](const std::string& act) { list.act = acts.at(act); },
          "activation of a layer list's layers instead of its column")
      ->check(CLI::IsMember({"as-listed", "none", "lo", "lohi"}))
      ->type_name("as-listed|none|lo|lohi");
}

StatusOr<Network> Resolve(const What& what) {
  const int given =
      !what.model.empty() + !what.network.empty() + !what.layers.empty() + !what.workloads.empty();
  if (given != 1) {
    return UsageError(
        "say what to work on: one of --model FILE.tflite, --network NAME, --layers FILE.csv, "
        "--workload KEY...");
  }
  if (what.layers.empty() && (what.list.type || what.list.act)) {
    return UsageError(
        "--layers-type and --layers-act go with --layers: other networks say it themselves");
  }
  if (!what.model.empty()) return ImportTflite(what.model);
  if (!what.network.empty()) return AsUsageError(BuiltinNetwork(what.network));
  if (!what.layers.empty()) return ReadLayersCsv(what.layers, what.list);
  Network network;
  network.name = "workloads";
  for (const std::string& key : what.workloads) {
    ASSIGN_OR_RETURN(const Workload workload, AsUsageError(ReadWorkload(key)));
    network.layers.push_back({.name = Describe(workload), .workload = workload});
  }
  return network;
}

void AddDatabase(CLI::App& command, Environment& env) {
  command.add_option("--db", env.db, "the tuning database ($KILN_DB, else in $XDG_DATA_HOME/kiln)")
      ->type_name("FILE");
}

void AddTracker(CLI::App& command, Environment& env, const std::string& help) {
  command.add_option("--tracker", env.tracker, help)
      ->envname("KILN_TRACKER")
      ->check(CheckServerAddress)
      ->type_name("HOST:PORT");
  AddCredentials(command, env.tls, CredentialUse::kToDial);
}

StatusOr<TrackerEndpoint> TrackerOf(const Environment& env) {
  // A socket on this machine needs none, and variables may be set for others.
  const bool used = env.tls.enabled() && !IsUnixAddress(env.tracker);
  if (used) RETURN_IF_ERROR(CheckTlsFiles(env.tls, Role::kClient, SystemClock().Today()));
  return TrackerEndpoint(env.tracker, used ? env.tls : TlsFiles());
}

void AddMeasuring(CLI::App& command, Environment& env) {
  AddTracker(command, env, "measure on the devices of this tracker instead of on this machine");
  command
      .add_option("--wait", env.wait,
                  "how long to wait for a device of the tracker that others have: 90s, 30m, 2h "
                  "(default: as long as it takes)")
      ->check(CheckDuration)
      ->type_name("TIME");
}

StatusOr<std::string> DatabasePath(const Environment& env) {
  if (!env.db.empty()) return env.db;
  return DefaultDatabasePath();
}

StatusOr<std::unique_ptr<TuningStore>> OpenStore(const Environment& env, OpenMode mode,
                                                 Session session) {
  ASSIGN_OR_RETURN(const std::string path, DatabasePath(env));
  return OpenSqliteStore(path, mode, std::move(session));
}

void AddWhere(CLI::App& command, Where& where) {
  command
      .add_option("--target", where.target,
                  "a target's name, or a file that describes one; see `kiln targets`")
      ->capture_default_str();
  AddThreads(command, where);
  command.add_option("--cache", where.cache, "state of the caches before a call: hot or cold")
      ->check(CLI::IsMember({"hot", "cold"}))
      ->capture_default_str();
}

void AddThreads(CLI::App& command, Where& where) {
  AddNumber<std::int32_t>(command, "--threads", where.threads, "threads of the kernels",
                          kThreadCounts)
      ->default_str(std::to_string(where.threads));
}

CacheState CacheOf(const Where& where) {
  return where.cache == "cold" ? CacheState::kCold : CacheState::kHot;
}

StatusOr<NetworkTasks> MakeTasks(const TemplateRegistry& registry, const Network& network,
                                 const Target& target, std::int32_t threads) {
  RETURN_IF_ERROR(CheckHasLayers(network));
  NetworkTasks result;
  for (WeightedWorkload& unique : UniqueWorkloads(network)) {
    StatusOr<Task> task = Task::Create(registry, {unique.workload, target, threads});
    if (task.ok()) {
      result.tasks.push_back({*std::move(task), std::move(unique)});
    } else {
      result.unsupported.emplace_back(std::move(unique), std::move(task).status());
    }
  }
  if (result.tasks.empty() && !result.unsupported.empty()) return result.unsupported[0].second;
  return result;
}

}  // namespace kiln
