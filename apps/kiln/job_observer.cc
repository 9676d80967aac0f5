#include "apps/kiln/job_observer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "db/row_text.h"
#include "ops/workload_key.h"

namespace kiln {

JobObserver::JobObserver(TunerVoice& voice, std::span<const WeightedTask> tasks, TunerBegun begun)
    : voice_(voice),
      tasks_(tasks),
      begun_(std::move(begun)),
      best_ns_(tasks.size()),
      finished_(tasks.size()) {}

void JobObserver::BeforeRound() {
  if (std::exchange(has_begun_, true)) return;
  voice_.Tell(begun_);
  voice_.Tell(TunerPhase{.confirming = false});
}

void JobObserver::Observe(const TuneEvent& event) {
  switch (event.kind) {
    case TuneEvent::Kind::kResumed: {
      begun_.stored += event.progress->trials;
      const std::vector<double>& best = event.progress->best_ns;
      if (!best.empty() && std::isfinite(best.back())) best_ns_[event.task] = best.back();
      break;
    }
    case TuneEvent::Kind::kTrial:
      TellTrial(event);
      break;
    case TuneEvent::Kind::kConfirming:
      EnterConfirming();
      break;
    case TuneEvent::Kind::kConfirmed:
      ++confirmed_;
      break;
    case TuneEvent::Kind::kTaskDone:
      finished_[event.task] = event.progress->finished;
      break;
  }
}

bool JobObserver::all_finished() const {
  return std::ranges::all_of(finished_, [](bool finished) { return finished; });
}

void JobObserver::TellTrial(const TuneEvent& event) {
  ++made_;
  std::optional<double>& best = best_ns_[event.task];
  const std::optional<double> ns = RankTime(*event.trial);
  const bool improved = ns && (!best || *ns < *best);
  if (improved) best = ns;
  voice_.Tell(TunerTrial{.kind = Name(event.trial->kind),
                         .status = StatusWord(event.trial->outcome),
                         .task = Key(tasks_[event.task].task.workload()),
                         .device = event.trial->device,
                         .improved = improved,
                         .made = made_});
}

void JobObserver::EnterConfirming() {
  if (std::exchange(is_confirming_, true)) return;
  voice_.Tell(TunerPhase{.confirming = true});
}

}  // namespace kiln
