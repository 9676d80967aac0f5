#include "dashboard/verdict_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "dashboard/words.h"

namespace kiln {
namespace {

constexpr std::size_t kFailedJobsNamed = 5;

void AddLayer(const LayerFacts& layer, VerdictView::Place& place) {
  const std::optional<double> now = layer.best_ns();
  place.time.Add(layer.count, layer.untuned_ns(), now);
  std::optional<double> then;
  if (layer.former_today) then = RankTime(*layer.former_today);
  place.tonight.Add(layer.count, then, now);
  if (!layer.best) return;
  ++place.with_best;
  place.confirmed += layer.best->best.confirmed;
  place.stale += layer.best->stale;
  place.changed += layer.is_changed();
}

std::vector<VerdictView::Place> PlacesOf(const std::vector<LayerFacts>& layers) {
  std::map<std::pair<std::string, TimeKind>, VerdictView::Place> places;
  // What has no best has no kind of times: it is missing in the best kind that there is.
  std::map<std::string, TimeKind> kinds;
  for (const LayerFacts& layer : layers) {
    if (!layer.best) continue;
    const TimeKind kind = layer.best->best.judged.kind;
    const auto [it, is_new] = kinds.try_emplace(SettingText(layer.task), kind);
    if (!is_new) it->second = std::min(it->second, kind);
  }
  for (const LayerFacts& layer : layers) {
    const std::string setting = SettingText(layer.task);
    TimeKind kind = kinds.try_emplace(setting, TimeKind::kMeasured).first->second;
    if (layer.best) kind = layer.best->best.judged.kind;
    VerdictView::Place& place = places[{setting, kind}];
    place.setting = setting;
    place.kind = kind;
    AddLayer(layer, place);
  }
  std::vector<VerdictView::Place> result;
  for (auto& [key, place] : places) result.push_back(std::move(place));
  std::ranges::stable_sort(result, std::greater<>(),
                           [](const VerdictView::Place& place) { return place.with_best; });
  return result;
}

void AddJobs(const std::vector<Job>& jobs, const std::vector<JobRun>& runs,
             const DashboardScope& scope, VerdictView& view) {
  for (const Job& job : jobs) {
    const JobStanding& standing = job.standing;
    if (!IsFinal(standing.state)) {
      ++view.unfinished;
      continue;
    }
    if (job.since_ms < scope.since_ms) continue;
    if (standing.state == JobState::kDone) {
      ++view.done;
    } else if (standing.state != JobState::kFailed) {
      ++view.ended_otherwise;
    } else if (++view.failed_jobs <= static_cast<std::int64_t>(kFailedJobsNamed)) {
      view.failed_words.push_back(
          fmt::format("job {} ({}): {}", job.id, job.job.name, Shortened(standing.text, 200)));
    }
  }
  for (const JobRun& run : runs) {
    const std::int64_t from = std::max(run.started_ms, scope.since_ms);
    view.used_ms += std::max<std::int64_t>(0, run.ended_ms.value_or(scope.now_ms) - from);
  }
}

std::string TimeWords(const VerdictView::Place& place) {
  const SummedTime& time = place.time;
  const std::string kind =
      place.kind == TimeKind::kMeasured ? "" : fmt::format(" ({})", Name(place.kind));
  if (time.timed() == 0) return "No layer has a time both untuned and tuned yet";
  return fmt::format("{} ms untuned, {} ms tuned{}: {}{}", MillisecondsText(time.before_ns()),
                     MillisecondsText(time.after_ns()), kind, GainText(time.gain()),
                     time.complete() ? ""
                                     : fmt::format(" (over the {} of {} layers that have both)",
                                                   time.timed(), time.layers()));
}

std::string ConfirmedWords(const VerdictView::Place& place) {
  if (place.with_best == 0) return "no config is known";
  std::string words = place.confirmed == place.with_best
                          ? "all confirmed"
                          : fmt::format("{} of {} confirmed", place.confirmed, place.with_best);
  if (place.stale > 0) words += fmt::format(", {} stale", place.stale);
  return words;
}

std::string Headline(const VerdictView& view, const DashboardScope& scope) {
  const std::string tune =
      scope.what.empty() ? "kiln tune --network mobilenet_v1" : "kiln tune " + scope.what;
  if (view.trials == 0) return fmt::format("No trials yet: `{}` makes some.", tune);
  const VerdictView::Place& first = view.places.front();
  if (first.with_best == 0) {
    return fmt::format("Nothing works yet: all of {} failed or were cut off. See failures.",
                       CountedText(view.trials, "trial"));
  }
  const std::string tonight =
      view.since == 0 ? "Nothing was tried since then"
                      : fmt::format("{} {} since then", CountedText(first.changed, "best config"),
                                    first.changed == 1 ? "is new" : "are new");
  return fmt::format("{}; {}. {}.", TimeWords(first), ConfirmedWords(first), tonight);
}

}  // namespace

VerdictView MakeVerdictView(const std::vector<LayerFacts>& layers, const std::vector<Job>& jobs,
                            const std::vector<JobRun>& runs, const DashboardScope& scope) {
  VerdictView view;
  view.places = PlacesOf(layers);
  for (const LayerFacts& layer : layers) {
    view.trials += layer.trials;
    view.failed += layer.failed;
    view.since += layer.since;
  }
  AddJobs(jobs, runs, scope, view);
  view.headline = Headline(view, scope);
  return view;
}

}  // namespace kiln
