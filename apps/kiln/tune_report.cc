#include "apps/kiln/tune_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/kiln/output.h"
#include "apps/kiln/table.h"
#include "apps/kiln/tuning_picture.h"
#include "dashboard/summed_time.h"
#include "dashboard/words.h"
#include "measure/figures.h"

namespace kiln {
namespace {

using Seconds = std::chrono::duration<double>;

double Since(std::chrono::steady_clock::time_point start) {
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

std::string Duration(double seconds) {
  const auto s = static_cast<std::int64_t>(std::ceil(seconds));
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return s >= 60 ? fmt::format("{}m{:02}s", s / 60, s % 60) : fmt::format("{}s", s);
}

std::string Share(double gops, double peak) { return ShareText(ShareOfPeak(gops, peak)); }

// " (emulated)" behind a time that is not measured.
std::string Mark(TimeKind kind) {
  return kind == TimeKind::kMeasured ? "" : fmt::format(" ({})", Name(kind));
}

SummedTime TotalsOf(const TuneSummary& s) {
  SummedTime totals;
  for (std::size_t i = 0; i < s.results.size(); ++i) {
    const TaskResult& result = s.results[i];
    totals.Add(s.tasks.tasks[i].workload.count, result.default_ns,
               result.best ? RankTime(*result.best) : std::nullopt);
  }
  return totals;
}

}  // namespace

std::string WhyShort(const std::vector<TaskResult>& results) {
  std::vector<std::pair<std::string, std::size_t>> reasons;  // in order of their first task
  for (const TaskResult& result : results) {
    if (result.shortfall == Shortfall::kNone) continue;
    const auto known = std::ranges::find(reasons, result.shortfall_words,
                                         &std::pair<std::string, std::size_t>::first);
    if (known == reasons.end()) {
      reasons.emplace_back(result.shortfall_words, 1);
    } else {
      ++known->second;
    }
  }
  std::string words;
  for (const auto& [reason, tasks] : reasons) {
    if (!words.empty()) words += ", ";
    words += reason;
    if (tasks < results.size()) words += fmt::format(" ({} of {} tasks)", tasks, results.size());
  }
  return words;
}

std::string DescribePeak(TimeKind kind, double peak_gops) {
  if (kind == TimeKind::kMeasured && peak_gops > 0) {
    return fmt::format("measured peak {:.0f} GOP/s", peak_gops);
  }
  if (kind == TimeKind::kMeasured) return "the peak is not measured yet";
  return fmt::format("times are {}{}", Name(kind),
                     kind == TimeKind::kEstimated ? ", see docs/estimates.md" : "");
}

TuneProgress::TuneProgress(const std::vector<NetworkTask>& tasks, TimeKind kind, double peak_gops,
                           std::int64_t trials_expected)
    : tasks_(tasks),
      kind_(kind),
      peak_gops_(peak_gops),
      trials_expected_(trials_expected),
      picture_(TerminalPicture::OnStandardError()),
      start_(std::chrono::steady_clock::now()),
      states_(tasks.size()) {}

double TuneProgress::Best(std::size_t task) const {
  return Gops(tasks_[task].task.workload(), states_[task].best_ns);
}

std::string TuneProgress::Progress() const {
  std::size_t done = 0;
  for (const TaskState& state : states_) done += state.done;
  const double rate = static_cast<double>(trials_) / std::max(Since(start_), 1e-3);
  std::string text = fmt::format("{}/{} tasks  {} trials", done, tasks_.size(), trials_ + resumed_);
  if (trials_expected_ > 0) text += fmt::format(" of {}", trials_expected_);
  text += fmt::format("  {:.1f}/s", rate);
  if (trials_expected_ > 0 && rate > 0) {
    const auto left =
        static_cast<double>(std::max<std::int64_t>(0, trials_expected_ - trials_ - resumed_));
    text += fmt::format("  ETA {}", Duration(left / rate));
  }
  return text;
}

void TuneProgress::Draw() {
  TuningPicture picture{.progress = Progress(),
                        .kind = kind_ == TimeKind::kMeasured ? "" : std::string(Name(kind_))};
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const TaskState& state = states_[i];
    const Workload& workload = tasks_[i].task.workload();
    TuningPicture::Row row{
        .layer = Describe(workload),
        .count = tasks_[i].workload.count,
        .weight = static_cast<double>(workload.macs()) * tasks_[i].workload.count,
        .trials = state.trials,
        .failed = state.failed,
        .best_ns = state.best_ns,
        .gops = Best(i),
        .curve = state.curve};
    const auto first =
        std::ranges::find_if(state.curve, [](double ns) { return std::isfinite(ns); });
    if (first != state.curve.end()) row.first_ns = *first;
    if (peak_gops_ > 0 && row.best_ns > 0) row.share = row.gops / peak_gops_;
    row.state = state.done         ? TuningPicture::State::kDone
                : state.confirming ? TuningPicture::State::kConfirms
                : i == current_    ? TuningPicture::State::kTunes
                                   : TuningPicture::State::kWaits;
    picture.rows.push_back(std::move(row));
  }
  picture_->Draw(DrawTuning(picture, picture_->canvas()));
}

void TuneProgress::Status() {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_status_ < (picture_ ? Seconds(0.1) : Seconds(15))) return;
  last_status_ = now;
  if (picture_) return Draw();
  WriteError(fmt::format("{}  | {}: {} trials, best {:.1f} GOP/s {}{}\n", Progress(),
                         Describe(tasks_[current_].task.workload()), states_[current_].trials,
                         Best(current_), Share(Best(current_), peak_gops_), Mark(kind_)));
}

void TuneProgress::Observe(const TuneEvent& event) {
  current_ = event.task;
  TaskState& state = states_[event.task];
  if (event.progress != nullptr) state.curve = event.progress->best_ns;
  switch (event.kind) {
    case TuneEvent::Kind::kResumed:
      state.resumed = state.trials = event.progress->trials;
      resumed_ += state.resumed;
      if (!event.progress->best_ns.empty() && std::isfinite(event.progress->best_ns.back())) {
        state.best_ns = event.progress->best_ns.back();
      }
      break;
    case TuneEvent::Kind::kTrial: {
      ++state.trials;
      ++trials_;
      state.failed += std::holds_alternative<Failure>(event.trial->outcome);
      const std::optional<double> ns = RankTime(*event.trial);
      if (ns && (state.best_ns == 0 || *ns < state.best_ns)) state.best_ns = *ns;
      break;
    }
    case TuneEvent::Kind::kConfirming:
      for (TaskState& each : states_) each.confirming = !each.done;
      break;
    case TuneEvent::Kind::kConfirmed:
      if (const std::optional<double> ns = RankTime(*event.trial)) state.best_ns = *ns;
      break;
    case TuneEvent::Kind::kTaskDone:
      if (!state.done) SayDone(event.task);
      break;
  }
  Status();
}

// Where there is a picture, that says it.
void TuneProgress::SayDone(std::size_t task) {
  TaskState& state = states_[task];
  state.done = true;
  if (picture_) return;
  const auto done = std::ranges::count(states_, true, &TaskState::done);
  const std::string name = Describe(tasks_[task].task.workload());
  if (state.trials == 0) {
    WriteError(fmt::format("[{:>2}/{}] {:<24} not tried\n", done, tasks_.size(), name));
    return;
  }
  WriteError(
      fmt::format("[{:>2}/{}] {:<24} {:>4} trials{}{}  best {:>7.2f} us {:>7.1f} GOP/s {:>4}{}\n",
                  done, tasks_.size(), name, state.trials,
                  state.resumed > 0 ? fmt::format(" ({} stored before)", state.resumed) : "",
                  state.failed > 0 ? fmt::format(" ({} failed)", state.failed) : "",
                  state.best_ns / 1e3, Best(task), Share(Best(task), peak_gops_), Mark(kind_)));
}

void TuneProgress::Finish() { picture_.reset(); }

namespace {

// What there was to be gained, and was; then how.
void PrintVerdict(const TuneSummary& s) {
  const std::string why_short = WhyShort(s.results);
  if (!why_short.empty()) {
    WriteOutput(fmt::format("fewer trials than asked for: {}\n", why_short));
  }
  const SummedTime totals = TotalsOf(s);
  WriteOutput(fmt::format("{}, {} thread{}: {:.3f} ms untuned, {:.3f} ms tuned{}: {:.2f}x  ({})\n",
                          s.network.name, s.threads, s.threads == 1 ? "" : "s",
                          totals.before_ns() / 1e6, totals.after_ns() / 1e6,
                          totals.complete() ? "" : " (over the layers that have both)",
                          totals.gain(), DescribePeak(s.kind, s.peak_gops)));
  std::int64_t trials = 0, resumed = 0;
  for (const TaskResult& result : s.results) trials += result.trials, resumed += result.resumed;
  WriteOutput(fmt::format("{} trials", trials));
  if (resumed > 0) WriteOutput(fmt::format(", {} of them stored before", resumed));
  WriteOutput(fmt::format(", {}\n", Duration(s.seconds)));
}

}  // namespace

void PrintSummary(const TuneSummary& s) {
  PrintVerdict(s);
  using A = Table::Align;
  Table table({{"layer", A::kLeft},
               {"x"},
               {"untuned us" + Mark(s.kind)},
               {"GOP/s"},
               {"tuned us" + Mark(s.kind)},
               {"GOP/s"},
               {"speed-up"},
               {"peak"},
               {"trials"},
               {"rank corr."}});
  for (std::size_t i = 0; i < s.results.size(); ++i) {
    const TaskResult& result = s.results[i];
    const Workload& workload = s.tasks.tasks[i].task.workload();
    std::vector<std::string> cells = {Describe(workload),
                                      std::to_string(s.tasks.tasks[i].workload.count)};
    const auto add_time = [&](std::optional<double> ns) {
      cells.push_back(ns ? fmt::format("{:.2f}", *ns / 1e3) : "-");
      cells.push_back(ns ? fmt::format("{:.1f}", Gops(workload, *ns)) : "-");
    };
    const std::optional<double> best = result.best ? RankTime(*result.best) : std::nullopt;
    add_time(result.default_ns);
    add_time(best);
    cells.push_back(GainText(Gain(result.default_ns, best)));
    cells.push_back(best ? Share(Gops(workload, *best), s.peak_gops) : "-");
    cells.push_back(std::to_string(result.trials));
    cells.push_back(result.rank_correlation ? fmt::format("{:.2f}", *result.rank_correlation)
                                            : "-");
    table.Add(std::move(cells));
  }
  WriteOutput(table.Print());
  for (std::size_t i = 0; i < s.results.size(); ++i) {
    if (s.results[i].best) continue;
    WriteOutput(fmt::format("no config for {}: {}\n", Key(s.tasks.tasks[i].task.workload()),
                            s.results[i].note));
  }
  for (const auto& [workload, why] : s.tasks.unsupported)
    WriteOutput(fmt::format("not tuned: {}\n", Message(why)));
  for (const auto& [op, count] : s.network.skipped)
    WriteOutput(fmt::format("not tuned: {} x {}\n", count, op));
}

void PrintSummaryJson(const TuneSummary& s) {
  for (std::size_t i = 0; i < s.results.size(); ++i) {
    const TaskResult& result = s.results[i];
    const Task& task = s.tasks.tasks[i].task;
    nlohmann::json line = {{"workload", Key(task.workload())},
                           {"count", s.tasks.tasks[i].workload.count},
                           {"template", task.kernel_template().name()},
                           {"space", task.space().size()},
                           {"trials", result.trials},
                           {"resumed", result.resumed},
                           {"ok", result.ok},
                           {"censored", result.censored},
                           {"failed", result.failed},
                           {"kind", Name(s.kind)}};
    if (result.default_ns) line["default_ns"] = *result.default_ns;
    if (result.rank_correlation) line["rank_correlation"] = *result.rank_correlation;
    if (!result.note.empty()) line["note"] = result.note;
    if (result.shortfall != Shortfall::kNone) line["short"] = result.shortfall_words;
    if (result.best) {
      const double ns = *RankTime(*result.best);
      line["min_ns"] = ns;
      line["gops"] = Gops(task.workload(), ns);
      if (const auto share = ShareOfPeak(line["gops"], s.peak_gops)) line["peak_share"] = *share;
      line["config_id"] = task.space().Id(result.best->config);
    }
    WriteJson(line);
  }
  const SummedTime totals = TotalsOf(s);
  nlohmann::json line = {{"network", s.network.name},
                         {"threads", s.threads},
                         {"untuned_ns", totals.before_ns()},
                         {"tuned_ns", totals.after_ns()},
                         {"complete", totals.complete()},
                         {"kind", Name(s.kind)},
                         {"unsupported", s.tasks.unsupported.size()},
                         {"seconds", s.seconds}};
  if (s.peak_gops > 0) line["peak_gops"] = s.peak_gops;
  const std::string why_short = WhyShort(s.results);
  if (!why_short.empty()) line["short"] = why_short;
  WriteJson(line);
}

void PrintFailedSummary(const Network& network, std::int64_t trials, const Status& why, bool json) {
  if (json) {
    return WriteJson(
        nlohmann::json{{"network", network.name}, {"new_trials", trials}, {"short", Message(why)}});
  }
  WriteOutput(fmt::format("fewer trials than asked for, {} new ones are stored: {}\n", trials,
                          Message(why)));
}

}  // namespace kiln
