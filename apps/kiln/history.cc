#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "apps/kiln/command.h"
#include "apps/kiln/config_choice.h"
#include "apps/kiln/history_curves.h"
#include "apps/kiln/interrupt.h"
#include "apps/kiln/output.h"
#include "apps/kiln/stored.h"
#include "apps/kiln/terminal.h"
#include "base/clock.h"
#include "base/reactor.h"
#include "base/write_file.h"
#include "dashboard/curve_svg.h"
#include "dashboard/terminal_plot.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

struct Options {
  std::string workload;
  std::string target = "native";
  std::optional<std::int32_t> threads;
  std::string cache, device;
  std::string figure = "gops", svg;
  bool plot = false, follow = false, json = false;

  bool draws() const { return plot || !svg.empty(); }
  bool lists() const { return json || !draws(); }
};

// What became of a trial, in a word; the same marked if its time was not measured; and its time, or
// its bound.
std::string StatusOf(const Trial& trial) {
  if (std::holds_alternative<Timings>(trial.outcome)) return "ok";
  if (std::holds_alternative<Censored>(trial.outcome)) return "censored";
  return Name(std::get<Failure>(trial.outcome).kind);
}

std::string MarkedStatus(const Trial& trial) {
  if (trial.kind == TimeKind::kMeasured) return StatusOf(trial);
  return fmt::format("{} {}", StatusOf(trial), Name(trial.kind));
}

double TimeOf(const Trial& trial) {
  if (const auto* timings = std::get_if<Timings>(&trial.outcome)) return timings->min_ns();
  if (const auto* censored = std::get_if<Censored>(&trial.outcome)) return censored->bound_ns;
  return 0;
}

nlohmann::json ToJson(const DeviceState& state) {
  nlohmann::json json = nlohmann::json::object();
  if (state.frequency_mhz > 0) json["frequency_mhz"] = state.frequency_mhz;
  if (state.temperature_c > 0) json["temperature_c"] = state.temperature_c;
  if (state.load_1min > 0) json["load_1min"] = state.load_1min;
  return json;
}

// What one measurement says, whichever of a trial's it is.
nlohmann::json ToJson(const Trial& trial) {
  nlohmann::json json = {{"status", StatusOf(trial)},
                         {"kind", Name(trial.kind)},
                         {"device", trial.device},
                         {"device_before", ToJson(trial.before)},
                         {"device_after", ToJson(trial.after)},
                         {"measured_at", FormatTime(trial.measured_at_ms)}};
  if (const double ns = TimeOf(trial); ns > 0) json["min_ns"] = ns;
  if (const auto* failure = std::get_if<Failure>(&trial.outcome)) {
    json["stage"] = Name(failure->stage);
    json["message"] = failure->message;
  }
  if (!trial.log.empty()) json["log"] = trial.log;
  return json;
}

void PrintJson(const TrialRecord& record, std::optional<double> best_ns) {
  nlohmann::json line = ToJson(record.trial);
  nlohmann::json config = nlohmann::json::object();
  for (const auto& [knob, label] : record.labels) config[knob] = label;
  line.update({{"workload", record.workload},
               {"target", record.target},
               {"threads", record.threads},
               {"cache", Name(record.cache)},
               {"seq", record.seq},
               {"config_id", record.config_id},
               {"config", config}});
  if (best_ns) line["best_ns"] = *best_ns;
  if (record.trial.predicted) line["predicted"] = *record.trial.predicted;
  for (const Remeasurement& more : record.again) {
    nlohmann::json measurement = ToJson(more.trial);
    measurement["purpose"] = more.confirms ? "confirm" : "repeat";
    line["measured_again"].push_back(std::move(measurement));
  }
  WriteJson(line);
}

void PrintHeading() {
  WriteOutput(fmt::format("{:>5}  {:<17} {:>10} {:>8} {:>8}  {:<16}  {}\n", "seq", "status", "min",
                          "GOP/s", "best", "config", "knobs"));
}

void PrintLine(const TrialRecord& record, const Workload& workload, std::optional<double> best_ns) {
  const double ns = TimeOf(record.trial);
  const bool is_best = ns > 0 && ns == best_ns;
  WriteOutput(
      fmt::format("{:>5}  {:<17} {:>10} {:>8} {:>8}  {}  {}{}\n", record.seq,
                  MarkedStatus(record.trial), ns > 0 ? fmt::format("{:.2f} us", ns / 1e3) : "",
                  ns > 0 ? fmt::format("{:.1f}", Gops(workload, ns)) : "",
                  best_ns ? fmt::format("{:.1f}", Gops(workload, *best_ns)) : "", record.config_id,
                  DescribeConfig(record.labels), is_best ? "  <- best so far" : ""));
  if (const auto* failure = std::get_if<Failure>(&record.trial.outcome)) {
    WriteOutput(fmt::format("{:>5}  {}: {}\n", "", Name(failure->stage), failure->message));
  }
}

// This is the trials of a workload in the store, as far as the user asked for them.
class TrialSource {
 public:
  TrialSource(const TuningStore& store, BestQuery query, std::string device)
      : store_(store), query_(std::move(query)), device_(std::move(device)) {}

  StatusOr<std::vector<TrialRecord>> All() const {
    ASSIGN_OR_RETURN(std::vector<TrialRecord> records, store_.Records(query_));
    KeepDevice(records);
    return records;
  }

  // Those that were stored since the last call; all, at the first.
  StatusOr<std::vector<TrialRecord>> Fresh() {
    BestQuery query = query_;
    query.inserted_after = seen_;
    ASSIGN_OR_RETURN(std::vector<TrialRecord> records, store_.Records(query));
    for (const TrialRecord& record : records) seen_ = std::max(seen_, record.insertion);
    KeepDevice(records);
    return records;
  }

 private:
  void KeepDevice(std::vector<TrialRecord>& records) const {
    std::erase_if(records, [&](const TrialRecord& record) {
      return !device_.empty() && record.trial.device != device_;
    });
  }

  const TuningStore& store_;
  const BestQuery query_;
  const std::string device_;
  std::int64_t seen_ = 0;
};

// This shows trials as they come and draws the curves of all, as the options say.
class HistoryView {
 public:
  HistoryView(const Options& options, const Workload& workload)
      : options_(options), workload_(workload), curves_(workload), face_(FaceOfOutput()) {}

  void List(std::span<const TrialRecord> fresh) {
    if (!options_.lists()) return;
    if (!options_.json && !has_heading_) PrintHeading();
    has_heading_ = true;
    for (const TrialRecord& record : fresh) {
      const std::optional<double> best_ns = curves_.Add(record);
      options_.json ? PrintJson(record, best_ns) : PrintLine(record, workload_, best_ns);
    }
  }

  // The curves below a list that has ended.
  void Conclude() const {
    if (options_.lists() && !options_.json) WriteOutput("\n" + Plots(curves_, 8));
  }

  // Draws anew what looks otherwise with these trials, which are all that there are.
  Status Draw(std::span<const TrialRecord> all) {
    HistoryCurves curves(workload_);
    for (const TrialRecord& record : all) curves.Add(record);
    if (options_.plot) Replace(Plots(curves, 12));
    if (options_.svg.empty()) return {};
    const std::vector<CurveChart> charts = curves.Charts(figure());
    ASSIGN_OR_RETURN(
        const bool is_new,
        UpdateFile(options_.svg, CurvesSvg("Best so far: " + Describe(workload_), charts)));
    if ((is_new || !options_.follow) && !options_.plot && !options_.json) {
      WriteOutput(fmt::format("{}: {} curve{} of {} trials\n", options_.svg, charts.size(),
                              charts.size() == 1 ? "" : "s", all.size()));
    }
    return {};
  }

 private:
  CurveFigure figure() const {
    return options_.figure == "time" ? CurveFigure::kTime : CurveFigure::kGops;
  }

  std::string Plots(const HistoryCurves& curves, int height) const {
    const PlotStyle style{
        .width = face_.width, .height = height, .charset = face_.charset, .ink = face_.ink};
    std::string text;
    for (const CurveChart& chart : curves.Charts(figure())) {
      text += (text.empty() ? "" : "\n") + PlotCurve(chart, style);
    }
    return text.empty() ? "no trial has a time yet\n" : text;
  }

  // On a terminal in the place of the plot before, elsewhere below it.
  void Replace(const std::string& plots) {
    if (plots == shown_) return;
    if (!shown_.empty()) {
      const auto lines = std::ranges::count(shown_, '\n');
      WriteOutput(face_.is_terminal ? fmt::format("\033[{}A\033[J", lines) : "\n");
    }
    WriteOutput(plots);
    shown_ = plots;
  }

  const Options& options_;
  const Workload workload_;
  HistoryCurves curves_;  // of what was listed
  const OutputFace face_;
  bool has_heading_ = false;
  std::string shown_;  // the plots
};

// Until it is interrupted, or nobody reads on. Pictures are made of all trials, since a known one
// may be confirmed: with many of them they come less often, so that a tuner on this machine does
// not feel it.
StatusOr<int> Follow(TrialSource& source, HistoryView& view, const Options& options) {
  constexpr Nanoseconds kPause = std::chrono::seconds(1);
  constexpr int kRest = 50;  // times as long as a look takes
  const Clock& clock = SystemClock();
  const std::unique_ptr<Reactor> reactor = NewReactor();
  const Interrupt interrupt(*reactor, "");
  Nanoseconds pause = kPause;
  while (!interrupt.WaitFor(pause)) {
    const SteadyTime start = clock.Now();
    if (options.lists()) {
      ASSIGN_OR_RETURN(const std::vector<TrialRecord> fresh, source.Fresh());
      view.List(fresh);
    }
    if (options.draws()) {
      ASSIGN_OR_RETURN(const std::vector<TrialRecord> all, source.All());
      RETURN_IF_ERROR(view.Draw(all));
    }
    if (!FlushOutput()) return 0;
    pause = std::max<Nanoseconds>(kPause, kRest * (clock.Now() - start));
  }
  return kInterruptedStatus;
}

StatusOr<int> ShowHistory(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const Workload workload, AsUsageError(ReadWorkload(options.workload)));
  BestQuery query;
  query.workload = Key(workload);
  query.threads = options.threads;
  if (!options.cache.empty())
    query.cache = options.cache == "cold" ? CacheState::kCold : CacheState::kHot;
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store, OpenStore(env, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(query.target, StoredTarget(*store, options.target));
  RETURN_IF_ERROR(TellUnknownWorkloads(*store));
  TrialSource source(*store, query, options.device);
  ASSIGN_OR_RETURN(const std::vector<TrialRecord> records, source.Fresh());
  if (records.empty() && !options.follow) {
    return Error(StatusCode::kNotFound, "no trials of ", *query.workload, " on ", *query.target,
                 options.device.empty() ? "" : " by " + options.device,
                 "; `kiln tune --workload KEY` makes some");
  }
  HistoryView view(options, workload);
  view.List(records);
  if (options.draws()) RETURN_IF_ERROR(view.Draw(records));
  if (!options.follow) {
    view.Conclude();
    return 0;
  }
  if (records.empty()) WriteError("no trials yet; they are shown as they are stored\n");
  FlushOutput();
  return Follow(source, view, options);
}

std::string CheckFileName(const std::string& text) {
  return text.empty() ? "a file needs a name" : "";
}

}  // namespace

void AddHistory(CLI::App& app, Environment& env) {
  auto* command =
      app.add_subcommand("history", "Show the trials of a workload and its best-so-far curve");
  auto options = std::make_shared<Options>();
  command->add_option("--workload", options->workload, "the workload's key")
      ->type_name("KEY")
      ->required();
  command->add_option("--target", options->target, "a target's name or file")
      ->capture_default_str();
  AddNumber<std::int32_t>(*command, "--threads", options->threads,
                          "only trials with so many threads", kThreadCounts);
  command->add_option("--cache", options->cache, "only trials with this state of the caches")
      ->check(CLI::IsMember({"hot", "cold"}));
  command->add_option("--device", options->device, "only trials on the device of this name")
      ->type_name("NAME");
  auto* json = command->add_flag("--json", options->json, "one JSON object per line");
  command->add_flag("--plot", options->plot, "draw the best-so-far curve instead of listing trials")
      ->excludes(json);
  command
      ->add_option("--svg", options->svg,
                   "write the curve to this file: a picture for browsers, light and dark")
      ->check(CheckFileName)
      ->type_name("FILE.svg");
  command
      ->add_option("--figure", options->figure, "what the curve shows: the best GOP/s, or its time")
      ->check(CLI::IsMember({"gops", "time"}))
      ->capture_default_str();
  command->add_flag("--follow", options->follow,
                    "go on with what is stored from now on, until Ctrl-C");
  AddDatabase(*command, env);
  command->footer(
      "Examples:\n"
      "  kiln history --workload KEY\n"
      "  kiln history --workload KEY --plot --follow\n"
      "  kiln history --workload KEY --svg curve.svg --figure time\n"
      "  kiln history --workload KEY --threads 2 --json --follow");
  command->callback(
      [&env, options] { env.action = [&env, options] { return ShowHistory(env, *options); }; });
}

}  // namespace kiln
