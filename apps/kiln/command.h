#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/command_line/command_line.h"
#include "base/clock.h"
#include "base/status.h"
#include "db/tuning_store.h"
#include "kernels_templates/task.h"
#include "models/model.h"
#include "ops/measurement.h"
#include "ops/workload_words.h"
#include "rpc_client/rpc_client.h"

namespace kiln {

// What every subcommand is given: the templates, the command line as it was typed, and the options
// that several of them have.
struct Environment {
  const TemplateRegistry& registry;
  std::string command_line;
  std::string db;       // --db; empty: DefaultDatabasePath()
  std::string tracker;  // --tracker HOST:PORT; empty: this machine
  TlsFiles tls;         // --ca, --cert, --key
  std::string wait;     // --wait TIME for a device of the tracker; empty: as long as it takes
  // What the chosen subcommand does; returns the exit status. Set while the command line is parsed.
  std::function<StatusOr<int>()> action;
};

// A subcommand adds itself and its options to the app. One file each: tune.cc, best.cc, ...
void AddTune(CLI::App& app, Environment& env);
void AddBest(CLI::App& app, Environment& env);
void AddHistory(CLI::App& app, Environment& env);
void AddReport(CLI::App& app, Environment& env);
void AddTop(CLI::App& app, Environment& env);
void AddBench(CLI::App& app, Environment& env);
void AddExport(CLI::App& app, Environment& env);
void AddLock(CLI::App& app, Environment& env);
void AddVerify(CLI::App& app, Environment& env);
void AddSpace(CLI::App& app, Environment& env);
void AddWorkloads(CLI::App& app, Environment& env);
void AddDevices(CLI::App& app, Environment& env);
void AddTargets(CLI::App& app, Environment& env);
void AddRunJob(CLI::App& app, Environment& env);
void AddDb(CLI::App& app, Environment& env);
void AddDaemon(CLI::App& app, Environment& env);
void AddSubmit(CLI::App& app, Environment& env);
void AddJobs(CLI::App& app, Environment& env);
void AddJob(CLI::App& app, Environment& env);
void AddJobWishes(CLI::App& app, Environment& env);  // pause, resume, cancel

// ---- options that several subcommands have

// WHAT: exactly one of --model, --network, --layers, --workload.
struct What {
  std::string model, network, layers;
  LayerListOptions list;  // with --layers
  std::vector<std::string> workloads;
  bool any() const {
    return !model.empty() || !network.empty() || !layers.empty() || !workloads.empty();
  }
};
void AddWhat(CLI::App& command, What& what);
// --<prefix>type and --<prefix>act.
void AddLayerListOptions(CLI::App& command, LayerListOptions& list, const std::string& prefix);
StatusOr<Network> Resolve(const What& what);

// --db; --tracker; --tracker and --wait, for commands that measure.
void AddDatabase(CLI::App& command, Environment& env);
void AddTracker(CLI::App& command, Environment& env, const std::string& help);
void AddMeasuring(CLI::App& command, Environment& env);
// The tracker, with credentials that are good for a client; an error says what is wrong with them.
StatusOr<TrackerEndpoint> TrackerOf(const Environment& env);
StatusOr<std::string> DatabasePath(const Environment& env);
StatusOr<std::unique_ptr<TuningStore>> OpenStore(const Environment& env, OpenMode mode,
                                                 Session session = {});

inline constexpr NumberRange<std::int32_t> kThreadCounts{1, kMaxThreads};

// --target, --threads, --cache.
struct Where {
  std::string target = "native";
  std::int32_t threads = 1;
  std::string cache = "hot";
};
void AddWhere(CLI::App& command, Where& where);
// --threads alone.
void AddThreads(CLI::App& command, Where& where);
CacheState CacheOf(const Where& where);

// ---- what several subcommands do

// The tasks of a network's unique workloads, in its order, with their multiplicity. Workloads that
// no template serves come back in `unsupported` with the reason. An error: there is no task.
struct NetworkTask {
  Task task;
  WeightedWorkload workload;
};
struct NetworkTasks {
  std::vector<NetworkTask> tasks;
  std::vector<std::pair<WeightedWorkload, Status>> unsupported;
};
StatusOr<NetworkTasks> MakeTasks(const TemplateRegistry& registry, const Network& network,
                                 const Target& target, std::int32_t threads);

}  // namespace kiln
