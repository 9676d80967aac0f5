#include "tuner/confirmation.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "tuner/mailbox.h"

namespace kiln {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);  // how often `stop` is asked

struct Turn {
  std::size_t config = 0;
  StatusOr<Trial> trial;
};

// Appends what one turn measured to what the earlier ones did on the same device.
void Join(Trial& all, Trial turn) {
  all.after = turn.after;
  const auto* more = std::get_if<Timings>(&turn.outcome);
  auto* timings = std::get_if<Timings>(&all.outcome);
  if (timings == nullptr) return;  // it failed before
  if (more == nullptr) {
    all.outcome = std::move(turn.outcome);
    return;
  }
  timings->samples_ns.insert(timings->samples_ns.end(), more->samples_ns.begin(),
                             more->samples_ns.end());
}

}  // namespace

StatusOr<std::vector<Trial>> MeasureInTurns(Measurer& measurer, const MeasureRequest& request,
                                            std::span<const Config> configs,
                                            const std::function<bool()>& stop) {
  MeasureRequest turn = request;
  turn.plan.samples = std::max(1, request.plan.samples / kConfirmationRounds);
  turn.plan.cut_off_ns = 0;
  Mailbox<Turn> mailbox;
  for (std::int32_t round = 0; round < kConfirmationRounds; ++round) {
    for (std::size_t i = 0; i < configs.size(); ++i) {
      turn.config = configs[i];
      measurer.Submit(turn, [&mailbox, i](StatusOr<Trial> trial) {
        mailbox.Put({i, std::move(trial)});
      });
    }
  }
  std::vector<std::vector<Trial>> joined(configs.size());  // by config, one for each device
  Status error;
  bool stopped = false;
  // The measurer completes every request, so this ends.
  for (std::size_t missing = configs.size() * kConfirmationRounds; missing > 0;) {
    if (!stopped && stop && stop()) {
      stopped = true;
      measurer.Withdraw();
    }
    for (Turn& done : mailbox.TakeAll(kPoll)) {
      --missing;
      if (!done.trial.ok()) {
        error = done.trial.status();
        continue;
      }
      std::vector<Trial>& trials = joined[done.config];
      const auto same = std::ranges::find(trials, done.trial->device, &Trial::device);
      if (same != trials.end()) {
        Join(*same, *std::move(done.trial));
      } else {
        trials.push_back(*std::move(done.trial));
      }
    }
  }
  RETURN_IF_ERROR(error);
  std::vector<Trial> trials;
  for (std::vector<Trial>& of_config : joined) {
    std::ranges::move(of_config, std::back_inserter(trials));
  }
  return trials;
}

}  // namespace kiln
