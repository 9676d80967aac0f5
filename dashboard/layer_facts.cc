#include "dashboard/layer_facts.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "dashboard/words.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

// Where a network runs; and a workload there.
using Setting = std::tuple<std::string, std::int32_t, CacheState>;
using Place = std::pair<Setting, std::string>;

template <typename Named>
Place PlaceOf(const Named& named) {
  return {{named.target, named.threads, named.cache}, named.workload};
}

std::vector<KnobChange> ChangesOf(const ConfigLabels& untuned, const ConfigLabels& tuned) {
  std::vector<KnobChange> changes;
  for (const auto& [knob, label] : tuned) {
    const auto known =
        std::ranges::find(untuned, knob, [](const auto& pair) { return pair.first; });
    if (known == untuned.end()) {
      changes.push_back({knob, "", label});
    } else if (known->second != label) {
      changes.push_back({knob, known->second, label});
    }
  }
  return changes;
}

// The layers of one setting with their counts.
std::vector<LayerFacts> LayersOf(const Network& network, const Setting& setting) {
  std::vector<LayerFacts> layers;
  for (const WeightedWorkload& unique : UniqueWorkloads(network)) {
    LayerFacts layer;
    std::tie(layer.task.target, layer.task.threads, layer.task.cache) = setting;
    layer.task.workload = Key(unique.workload);
    layer.count = unique.count;
    layers.push_back(std::move(layer));
  }
  return layers;
}

// Of each place all templates together, and the one with the most trials.
std::map<Place, TaskActivity> ByPlace(const std::vector<TaskActivity>& tasks) {
  std::map<Place, TaskActivity> places;
  std::map<Place, std::int64_t> most;
  for (const TaskActivity& task : tasks) {
    const Place place = PlaceOf(task.task);
    TaskActivity& sum = places[place];
    if (std::int64_t& trials = most[place]; task.trials > trials) {
      trials = task.trials;
      sum.task = task.task;
    }
    sum.trials += task.trials;
    sum.failed += task.failed;
    sum.since += task.since;
    sum.last_ms = std::max(sum.last_ms, task.last_ms);
  }
  return places;
}

std::vector<LayerFacts> PlacesInScope(const DashboardScope& scope,
                                      const std::map<Place, TaskActivity>& activity) {
  std::vector<LayerFacts> layers;
  if (!scope.network) {
    for (const auto& [place, task] : activity) layers.push_back({.task = task.task});
    return layers;
  }
  std::set<std::string> keys;
  for (const WeightedWorkload& unique : UniqueWorkloads(*scope.network)) {
    keys.insert(Key(unique.workload));
  }
  std::set<Setting> settings;
  for (const auto& [place, task] : activity) {
    if (keys.contains(place.second)) settings.insert(place.first);
  }
  for (const Setting& setting : settings) {
    for (LayerFacts& layer : LayersOf(*scope.network, setting)) layers.push_back(std::move(layer));
  }
  return layers;
}

void AddActivity(const std::map<Place, TaskActivity>& activity, LayerFacts& layer) {
  layer.name = WorkloadText(layer.task.workload);
  const auto found = activity.find(PlaceOf(layer.task));
  if (found == activity.end()) return;
  layer.task = found->second.task;
  layer.trials = found->second.trials;
  layer.failed = found->second.failed;
  layer.since = found->second.since;
  layer.last_ms = found->second.last_ms;
}

Status AddBests(const DashboardSources& sources, std::vector<LayerFacts>& layers) {
  std::map<Place, LayerFacts*> wanted;
  for (LayerFacts& layer : layers) wanted[PlaceOf(layer.task)] = &layer;
  ASSIGN_OR_RETURN(std::vector<Best> bests, sources.store.Bests({}));
  std::erase_if(bests, [&](const Best& best) { return !wanted.contains(PlaceOf(best.record)); });
  ASSIGN_OR_RETURN(std::vector<StoredBest> stored, DescribeBests(sources.registry, sources.targets,
                                                                 sources.store, std::move(bests)));
  for (StoredBest& each : stored) {
    LayerFacts& layer = *wanted.at(PlaceOf(each.best.record));
    layer.task.kernel_template = each.best.record.kernel_template;
    if (each.untuned) layer.knobs = ChangesOf(each.untuned->labels, each.best.record.labels);
    layer.best = std::move(each);
  }
  return absl::OkStatus();
}

Status AddFormerBests(const DashboardSources& sources, const DashboardScope& scope,
                      std::vector<LayerFacts>& layers) {
  ASSIGN_OR_RETURN(std::vector<Best> former, sources.statistics.BestsBefore(scope.since_ms));
  std::map<Place, Best*> by_place;
  for (Best& best : former) by_place[PlaceOf(best.record)] = &best;
  for (LayerFacts& layer : layers) {
    const auto found = by_place.find(PlaceOf(layer.task));
    if (found != by_place.end()) layer.former = std::move(*found->second);
  }
  return absl::OkStatus();
}

// How the former bests do today, where the best was judged.
Status AddFormerToday(const DashboardSources& sources, std::vector<LayerFacts>& layers) {
  std::vector<ConfigNames> configs;
  std::vector<LayerFacts*> of;
  for (LayerFacts& layer : layers) {
    if (!layer.best || !layer.former) continue;
    configs.push_back({NamesOf(layer.former->record), layer.former->record.config_id});
    of.push_back(&layer);
  }
  ASSIGN_OR_RETURN(auto records, sources.statistics.RecordsOf(configs));
  for (std::size_t i = 0; i < of.size(); ++i) {
    const std::uint64_t code = of[i]->former->record.trial.code_digest;
    std::erase_if(records[i], [&](const TrialRecord& r) { return r.trial.code_digest != code; });
    of[i]->former_today = JudgedBeside(records[i], of[i]->best->best);
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<double> LayerFacts::best_ns() const {
  return best ? RankTime(best->best.judged) : std::nullopt;
}

std::optional<double> LayerFacts::untuned_ns() const {
  return best ? best->untuned_ns() : std::nullopt;
}

bool LayerFacts::is_changed() const {
  if (!best) return false;
  if (!former) return true;
  const TrialRecord &now = best->best.record, &then = former->record;
  return now.config_id != then.config_id || now.trial.code_digest != then.trial.code_digest ||
         now.kernel_template != then.kernel_template;
}

StatusOr<std::vector<LayerFacts>> ReadLayers(const DashboardSources& sources,
                                             const DashboardScope& scope,
                                             const std::vector<TaskActivity>& tasks) {
  const std::map<Place, TaskActivity> activity = ByPlace(tasks);
  std::vector<LayerFacts> layers = PlacesInScope(scope, activity);
  for (LayerFacts& layer : layers) AddActivity(activity, layer);
  RETURN_IF_ERROR(AddBests(sources, layers));
  RETURN_IF_ERROR(AddFormerBests(sources, scope, layers));
  RETURN_IF_ERROR(AddFormerToday(sources, layers));
  return layers;
}

}  // namespace kiln
