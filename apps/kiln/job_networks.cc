#include "apps/kiln/job_networks.h"

#include <set>
#include <string>
#include <utility>

#include "apps/kiln/job_trouble.h"
#include "apps/kiln/stored.h"
#include "base/digest.h"
#include "base/read_file.h"
#include "daemon/job_network.h"
#include "dashboard/summed_time.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

// That a file is there and the same as when the job was submitted.
Status CheckFile(const std::string& path, const std::string& digest) {
  const StatusOr<std::vector<std::uint8_t>> bytes = ReadFile(path);
  if (!bytes.ok()) {
    return Error(bytes.status().code(), Message(bytes.status()),
                 ": put it back, or submit the job again without it");
  }
  if (digest.empty() || Hex(Digest(bytes->data(), bytes->size())) == digest) return {};
  return Error(StatusCode::kFailedPrecondition, path,
               " has changed since the job was submitted: submit it again");
}

StatusOr<Network> ReadNetwork(const JobNetwork& network) {
  const std::string& file = network.model.empty() ? network.layers : network.model;
  if (!file.empty()) RETURN_IF_ERROR(CheckFile(file, network.digest));
  return NetworkOf(network);
}

}  // namespace

StatusOr<std::vector<WeightedNetwork>> ReadNetworks(const JobSpec& spec) {
  std::vector<WeightedNetwork> networks;
  for (const JobNetwork& each : spec.networks) {
    ASSIGN_OR_RETURN(Network network, AsTrouble(TunerTrouble::kModel, ReadNetwork(each)));
    networks.push_back({std::move(network), each.weight});
  }
  return networks;
}

StatusOr<JobTasks> MakeJobTasks(const TemplateRegistry& registry,
                                std::vector<WeightedNetwork> networks, const Target& target,
                                std::int32_t threads) {
  JobTasks result;
  result.networks = std::move(networks);
  Status first_refusal;
  for (SharedWorkload& shared : SharedWorkloads(result.networks)) {
    StatusOr<Task> task = Task::Create(registry, {shared.workload, target, threads});
    if (!task.ok()) {
      if (result.unsupported++ == 0) first_refusal = task.status();
      continue;
    }
    result.tasks.push_back({*std::move(task), shared.weight});
    result.workloads.push_back(std::move(shared));
  }
  if (result.tasks.empty()) return first_refusal;
  return result;
}

Status KeepStale(const Environment& env, const TuningStore& store, CacheState cache,
                 JobTasks& tasks) {
  const Task& any = tasks.tasks.front().task;
  ASSIGN_OR_RETURN(
      const std::vector<StoredBest> bests,
      ReadBests(env, store,
                {.target = any.target().name, .threads = any.threads(), .cache = cache}));
  std::set<std::string> stale;
  for (const StoredBest& stored : bests) {
    if (stored.stale) stale.insert(stored.best.record.workload);
  }
  std::vector<WeightedTask> kept;
  std::vector<SharedWorkload> workloads;
  for (std::size_t i = 0; i < tasks.tasks.size(); ++i) {
    if (!stale.contains(Key(tasks.workloads[i].workload))) continue;
    kept.push_back(std::move(tasks.tasks[i]));
    workloads.push_back(std::move(tasks.workloads[i]));
  }
  tasks.tasks = std::move(kept);
  tasks.workloads = std::move(workloads);
  return {};
}

std::vector<NetworkTimes> TimesOf(const JobTasks& tasks, const std::vector<TaskResult>& results) {
  std::vector<SummedTime> sums(tasks.networks.size());
  for (std::size_t i = 0; i < tasks.workloads.size(); ++i) {
    std::optional<double> before, after;
    if (i < results.size()) {
      before = results[i].default_ns;
      after = results[i].best ? RankTime(*results[i].best) : std::nullopt;
    }
    for (const SharedWorkload::Use& use : tasks.workloads[i].uses) {
      sums[use.network].Add(use.count, before, after);
    }
  }
  std::vector<NetworkTimes> times;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    NetworkTimes& network = times.emplace_back();
    network.name = tasks.networks[i].network.name;
    network.tasks = sums[i].layers();
    if (sums[i].timed() == 0) continue;
    network.before_ns = sums[i].before_ns();
    network.after_ns = sums[i].after_ns();
  }
  return times;
}

}  // namespace kiln
