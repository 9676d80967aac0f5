// A tuning run: batches of trials in a window of fixed length.
//
//   MaybeThink          the window has room: learn what the oldest batch said, pick a task, propose
//                       a batch for it; on a thread of its own, because fitting takes a while
//   Handle(Proposed&)   the batch is proposed: hand it to the measurer (SubmitBatch)
//   Handle(Measured&)   a trial is done: store it first, then count it
//
// The end is noticed between two messages: nothing more is submitted, the measurer withdraws what has
// not begun, and the run waits for what has. A trial that was withdrawn was never made: its batch
// keeps a hole, and a later run, which sees stored trials only, may propose it again.
//
// A batch is learnt as a whole, in the order of its submission, and only when it is the oldest in
// the window: so batch b is always proposed by what batches up to b - 2 said, whichever device was
// faster, and while it is being thought of, batch b - 1 keeps the devices busy.

#include "tuner/tuner.h"

#include <algorithm>
#include <future>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "tuner/batch_window.h"
#include "tuner/confirmation.h"
#include "tuner/final_round.h"
#include "tuner/mailbox.h"
#include "tuner/pace.h"
#include "tuner/task_session.h"

namespace kiln {
namespace {

constexpr auto kPoll =
    std::chrono::milliseconds(100);  // how often `stop` and the deadline are seen

// What a batch taught, on its way to policy and model.
struct Lesson {
  std::size_t task = 0;
  std::vector<Trial> trials;
};

// A trial is done.
struct Measured {
  std::shared_ptr<Batch> batch;
  std::size_t slot = 0;
  StatusOr<Trial> trial;
};

// The next batch has been thought of.
struct Proposed {
  std::size_t task = 0;
  StatusOr<std::vector<Proposal>> proposals;
  std::vector<RunCase> cases;
};

using Message = std::variant<Measured, Proposed>;

// Trials of all final rounds: so many finalists, and the store's best and the default.
std::int64_t TrialsToConfirm(std::size_t tasks, std::int32_t finalists) {
  if (finalists == 0) return 0;
  return static_cast<std::int64_t>(tasks) * kConfirmationRounds * (finalists + 2);
}

class TuningRun {
 public:
  TuningRun(const Tuner::Collaborators& with, const TuneOptions& options, const Budget& budget,
            std::span<const WeightedTask> tasks, const std::function<bool()>& stop,
            const std::function<void(const TuneEvent&)>& observe)
      : with_(with),
        options_(options),
        budget_(budget),
        stop_(stop),
        observe_(observe),
        learns_(PolicyLearns(options.policy)),
        pace_(with.clock, budget.deadline, TrialsToConfirm(tasks.size(), options.finalists)),
        tasks_(tasks),
        window_(PolicyNeedsBarrier(options.policy)
                    ? 1
                    : static_cast<std::size_t>(std::max(1, options.batches_in_flight))) {}

  StatusOr<std::vector<TaskResult>> Run() {
    RETURN_IF_ERROR(Resume());
    const std::jthread ahead([this](const std::stop_token& token) { ComputeExpected(token); });
    while (true) {
      if (!Stopping()) MaybeThink();
      if (!thinking_ && under_way_ == 0) break;
      for (Message& message : mailbox_.TakeAll(kPoll)) {
        std::visit([this](auto& m) { Handle(m); }, message);
      }
    }
    if (errors_in_a_row_ > 0 && pace_.made() == 0 && error_.ok()) error_ = last_error_;
    RETURN_IF_ERROR(error_);
    return Finish();
  }

 private:
  Status Resume() {
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      const Task& task = tasks_[i].task;
      ASSIGN_OR_RETURN(auto policy, NewSearchPolicy(options_.policy, task, with_.model,
                                                    PolicyOptions{options_.seed}));
      sessions_.push_back(std::make_unique<TaskSession>(tasks_[i], std::move(policy), budget_));
      progress_.push_back({});
      ASSIGN_OR_RETURN(auto history, with_.store.History(task, options_.cache));
      const std::vector<Trial> others = TakeOtherKinds(history);
      ASSIGN_OR_RETURN(const std::vector<Trial> hints, with_.store.Hints(task, options_.cache));
      if (options_.kind != TimeKind::kEstimated) sessions_[i]->policy().Suggest(hints);
      WarmStart(i, others);
      sessions_[i]->Restore(history);
      if (learns_) with_.model.Add(task, history);
      trials_ += static_cast<std::int64_t>(history.size());
      if (!history.empty()) Tell(TuneEvent::Kind::kResumed, i, nullptr);
    }
    return learns_ ? with_.model.Fit() : absl::OkStatus();
  }

  // What is not of this run's kind leaves `history`.
  std::vector<Trial> TakeOtherKinds(std::vector<Trial>& history) const {
    const auto others = std::ranges::stable_partition(
        history, [this](const Trial& trial) { return trial.kind == options_.kind; });
    std::vector<Trial> taken(others.begin(), others.end());
    history.erase(others.begin(), others.end());
    return taken;
  }

  // Estimates of a task are where its measuring begins.
  void WarmStart(std::size_t task, std::vector<Trial> others) {
    if (options_.kind == TimeKind::kEstimated) return;
    std::erase_if(others, [](const Trial& trial) { return trial.kind != TimeKind::kEstimated; });
    sessions_[task]->policy().Suggest(others);
    if (learns_) with_.model.Add(tasks_[task].task, others);
  }

  // The reference outputs of tasks whose turn has not come, so that their turn begins at once.
  void ComputeExpected(const std::stop_token& token) {
    for (const WeightedTask& each : tasks_) {
      if (token.stop_requested()) return;
      with_.expected.CasesFor(each.task.workload());
    }
  }

  void MaybeThink() {
    const std::int32_t most = pace_.Fitting(options_.batch, under_way_);
    if (thinking_ || most == 0) return;
    if (!window_.HasRoom()) {
      if (!window_.OldestIsComplete()) return;
      TakeLesson();
    }
    if (const auto task = PickTask()) Think(*task, most);
  }

  bool Stopped() const { return stop_ && stop_(); }

  // Once true, it stays so. Whoever sees it first withdraws what has not begun.
  bool Stopping() {
    if (stopping_) return true;
    stopping_ = !error_.ok() || Stopped() || pace_.IsOutOfTime();
    if (stopping_) with_.measurer.Withdraw();
    return stopping_;
  }

  void TakeLesson() {
    const std::shared_ptr<Batch> batch = window_.PopOldest();
    Lesson lesson{batch->task, batch->Finished()};
    sessions_[lesson.task]->Learn(lesson.trials);
    lessons_.push_back(std::move(lesson));
  }

  std::optional<std::size_t> PickTask() {
    if (TrialsLeft() == 0) return std::nullopt;
    for (std::size_t i = 0; i < sessions_.size(); ++i) progress_[i] = sessions_[i]->progress();
    return with_.scheduler.Next(progress_);
  }

  std::int32_t TrialsLeft() const {
    if (!budget_.trials) return options_.batch;
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(*budget_.trials - trials_, 0, options_.batch));
  }

  void Think(std::size_t task, std::int32_t most) {
    const std::int32_t count = std::min(most, sessions_[task]->Allowance(TrialsLeft()));
    thinking_ = true;
    thought_ =
        std::async(std::launch::async, [this, task, count, lessons = std::exchange(lessons_, {})] {
          mailbox_.Put(Proposed{task, LearnAndPropose(lessons, task, count),
                                with_.expected.CasesFor(tasks_[task].task.workload())});
        });
  }

  // On the thinking thread, which alone uses policies and model.
  StatusOr<std::vector<Proposal>> LearnAndPropose(std::span<const Lesson> lessons, std::size_t task,
                                                  std::int32_t count) {
    for (const Lesson& lesson : lessons) {
      sessions_[lesson.task]->policy().Observe(lesson.trials);
      if (learns_) with_.model.Add(tasks_[lesson.task].task, lesson.trials);
    }
    if (learns_ && !lessons.empty()) RETURN_IF_ERROR(with_.model.Fit());
    return Propose(task, count);
  }

  // Without those that are known to take hosts down, which another program on the same store, or a
  // run with other threads or caches, may have found out meanwhile.
  StatusOr<std::vector<Proposal>> Propose(std::size_t task, std::int32_t count) {
    ASSIGN_OR_RETURN(const std::set<Config> killers, HostKillers(with_.store, tasks_[task].task));
    while (true) {
      std::vector<Proposal> proposals =
          sessions_[task]->policy().Propose(sessions_[task]->next_batch(), count);
      if (proposals.empty()) return proposals;
      std::erase_if(proposals, [&](const Proposal& p) { return killers.contains(p.config); });
      if (!proposals.empty()) return proposals;
    }
  }

  void Handle(Proposed& proposed) {
    thinking_ = false;
    thought_.get();
    if (!proposed.proposals.ok()) {
      error_ = proposed.proposals.status();
    } else if (proposed.proposals->empty()) {
      sessions_[proposed.task]->SpaceUsedUp();
    } else if (!Stopping()) {
      SubmitBatch(proposed.task, *proposed.proposals, proposed.cases);
    }
  }

  void SubmitBatch(std::size_t task, std::span<const Proposal> proposals,
                   const std::vector<RunCase>& cases) {
    const auto batch = std::make_shared<Batch>(task, proposals.size());
    window_.Push(batch);
    under_way_ += proposals.size();
    trials_ += static_cast<std::int64_t>(proposals.size());
    MeasureRequest request{
        tasks_[task].task, {},           cases,
        Plan(task),        std::nullopt, sessions_[task]->BeginBatch(proposals.size()),
        options_.kind};
    request.plan.cut_off_ns = sessions_[task]->CutOff();
    for (std::size_t i = 0; i < proposals.size(); ++i) {
      request.config = proposals[i].config;
      request.predicted = proposals[i].predicted;
      with_.measurer.Submit(request, [this, batch, i](StatusOr<Trial> trial) {
        mailbox_.Put(Measured{batch, i, std::move(trial)});
      });
    }
  }

  MeasurePlan Plan(std::size_t task) const {
    MeasurePlan plan = options_.plan;
    plan.threads = tasks_[task].task.threads();
    plan.cache = options_.cache;
    return plan;
  }

  void Handle(Measured& done) {
    --under_way_;
    --done.batch->missing;
    const std::size_t task = done.batch->task;
    if (IsWithdrawn(done.trial.status())) {
      --trials_;
      return sessions_[task]->TakeBack();
    }
    if (!done.trial.ok()) return OnError(task, done.trial.status());
    errors_in_a_row_ = 0;
    pace_.Count();
    const Trial& trial = done.batch->trials[done.slot].emplace(*std::move(done.trial));
    const Status stored =
        with_.store.Append(tasks_[task].task, options_.cache, std::span(&trial, 1));
    if (!stored.ok()) {
      error_ = stored;
      return;
    }
    sessions_[task]->Record(trial);
    Tell(TuneEvent::Kind::kTrial, task, &trial);
  }

  // An interrupt ends the waiting for devices, too, perhaps before it is seen here.
  bool IsWithdrawn(const Status& status) {
    return status.code() == StatusCode::kCancelled && Stopping();
  }

  // One config may be what kills a device, several in a row are a farm that is gone.
  void OnError(std::size_t task, const Status& status) {
    sessions_[task]->GiveBack(status);
    --trials_;
    last_error_ = status;
    if (++errors_in_a_row_ >= options_.errors_in_a_row && error_.ok()) error_ = status;
  }

  StatusOr<std::vector<TaskResult>> Finish() {
    std::vector<TaskResult> results;
    for (std::size_t i = 0; i < sessions_.size(); ++i) {
      TaskResult result = sessions_[i]->Result();
      ExplainShortfall(*sessions_[i], result);
      RETURN_IF_ERROR(Confirm(i, result));
      results.push_back(std::move(result));
      Tell(TuneEvent::Kind::kTaskDone, i, nullptr);
    }
    return results;
  }

  // Nothing to explain where no number was asked for, or it was reached.
  void ExplainShortfall(const TaskSession& session, TaskResult& result) const {
    const bool task_is_short = session.Allowance(1) > 0 && budget_.trials_per_task;
    const bool run_is_short = budget_.trials && trials_ < *budget_.trials;
    const bool others_took_all = budget_.trials && !run_is_short;
    if (others_took_all || !(task_is_short || (run_is_short && !budget_.trials_per_task))) return;
    result.shortfall = session.WhyNoMore();
    if (result.shortfall == Shortfall::kNone) {
      if (Stopped()) {
        result.shortfall = Shortfall::kStopped;
      } else if (pace_.IsOutOfTime()) {
        result.shortfall = Shortfall::kTime;
      }
    }
    switch (result.shortfall) {
      case Shortfall::kNone:
        break;
      case Shortfall::kSpaceUsedUp:
        result.shortfall_words =
            "all " + std::to_string(session.task().space().size()) + " configs were tried";
        break;
      case Shortfall::kNoGain:
        result.shortfall_words = "no gain in " + std::to_string(*budget_.early_stop) + " trials";
        break;
      case Shortfall::kTime:
        result.shortfall_words = "the time was up";
        break;
      case Shortfall::kStopped:
        result.shortfall_words = "it was interrupted";
        break;
      case Shortfall::kErrors:
        result.shortfall_words = session.Errors();
        break;
    }
  }

  Status Confirm(std::size_t task, TaskResult& result) {
    const bool late = budget_.deadline && with_.clock.Now() >= *budget_.deadline;
    const FinalRound round{.measurer = with_.measurer,
                           .expected = with_.expected,
                           .store = with_.store,
                           .cache = options_.cache,
                           .kind = options_.kind,
                           .plan = Plan(task),
                           .finalists = options_.finalists,
                           .stop = stop_,
                           .begins = [this, task] { TellConfirming(task); }};
    if (options_.finalists == 0 || late || Stopped()) {
      return RecallStored(round, *sessions_[task], result).status();
    }
    const Status compared = RunFinalRound(round, *sessions_[task], result);
    if (compared.code() == StatusCode::kCancelled && Stopped()) return absl::OkStatus();
    RETURN_IF_ERROR(compared);
    if (result.best) Tell(TuneEvent::Kind::kConfirmed, task, &*result.best);
    return absl::OkStatus();
  }

  void TellConfirming(std::size_t task) {
    if (!std::exchange(confirming_, true)) Tell(TuneEvent::Kind::kConfirming, task, nullptr);
  }

  void Tell(TuneEvent::Kind kind, std::size_t task, const Trial* trial) {
    if (observe_) observe_(TuneEvent{kind, task, trial, &sessions_[task]->progress()});
  }

  const Tuner::Collaborators& with_;
  const TuneOptions& options_;
  const Budget& budget_;
  const std::function<bool()>& stop_;
  const std::function<void(const TuneEvent&)>& observe_;
  const bool learns_;
  Pace pace_;

  std::span<const WeightedTask> tasks_;
  std::vector<std::unique_ptr<TaskSession>> sessions_;  // one per task
  std::vector<TaskProgress> progress_;                  // of the sessions, as the scheduler sees it
  BatchWindow window_;
  std::vector<Lesson> lessons_;  // learnt by the sessions, not yet by policies and model
  Mailbox<Message> mailbox_;

  std::int64_t trials_ = 0;    // stored or under way, over all tasks
  std::size_t under_way_ = 0;  // handed to the measurer
  bool stopping_ = false;      // nothing more is submitted, and what had not begun is withdrawn
  bool confirming_ = false;    // and it was told
  std::int32_t errors_in_a_row_ = 0;
  Status last_error_;  // of the measurer
  Status error_;       // that ends the run

  bool thinking_ = false;
  std::future<void> thought_;  // last: it uses everything above
};

}  // namespace

Tuner::Tuner(Collaborators collaborators, TuneOptions options, Budget budget)
    : with_(collaborators), options_(std::move(options)), budget_(budget) {}

StatusOr<std::vector<TaskResult>> Tuner::Tune(
    std::span<const WeightedTask> tasks, const std::function<bool()>& stop,
    const std::function<void(const TuneEvent&)>& observe) {
  return TuningRun(with_, options_, budget_, tasks, stop, observe).Run();
}

}  // namespace kiln
