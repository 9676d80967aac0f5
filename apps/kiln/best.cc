#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>

#include "apps/kiln/columns.h"
#include "apps/kiln/command.h"
#include "apps/kiln/config_choice.h"
#include "apps/kiln/stored.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/standard_streams.h"
#include "daemon/window.h"
#include "dashboard/words.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

// Which of the stored bests; those of all filters that are given.
struct FilterOptions {
  std::string op, device, kind, since;
  bool stale = false, current = false, confirmed = false;
};

struct Options {
  What what;
  bool all = false;
  std::string target = "native";
  std::optional<std::int32_t> threads;
  FilterOptions filter;
  ListingOptions listing;
};

const std::map<std::string, OpKind> kOps{
    {"conv2d", OpKind::kConv2d}, {"depthwise", OpKind::kDepthwise}, {"dense", OpKind::kDense}};

std::string NameOf(OpKind op) {
  for (const auto& [name, kind] : kOps) {
    if (kind == op) return name;
  }
  return "";
}

// What a table shows unless --columns says otherwise.
constexpr char kTableColumns[] =
    "workload,target,threads,min_ns,gops,peak_share,bound_share,gain,trials,origin,confirmed,stale,"
    "age_seconds,device,config_id,config";

const Timings& TimesOf(const StoredBest& stored) {
  return std::get<Timings>(stored.best.judged.outcome);
}

std::string Microseconds(double ns) { return fmt::format("{:.2f}", ns / 1e3); }

Cell AgeCell(const StoredBest& stored, WallTime now) {
  const auto age = now - FromUnixMs(stored.best.judged.measured_at_ms);
  return {std::chrono::floor<std::chrono::seconds>(age).count(), FormatSpan(age)};
}

Cell OriginCell(const StoredBest& stored) {
  const TimeKind kind = stored.best.judged.kind;
  const std::string mark = kind == TimeKind::kMeasured ? "" : std::string(", ") + Name(kind);
  return {stored.best.origin, stored.best.origin + mark};
}

Cell YesCell(bool value) { return {value, value ? "yes" : "-"}; }

// Programs may count the columns of the CSV: new ones go to the end.
std::vector<Column<StoredBest>> BestColumns(WallTime now) {
  using S = StoredBest;
  constexpr auto kLeft = Table::Align::kLeft;
  return {{{"workload", "layer", kLeft},
           [](const S& s) {
             return Cell{s.best.record.workload, s.workload ? Describe(*s.workload) : ""};
           }},
          {{"target", "target", kLeft}, [](const S& s) { return Cell{s.best.record.target}; }},
          {{"threads", "t"}, [](const S& s) { return Cell{std::int64_t{s.best.record.threads}}; }},
          {{"cache", "cache", kLeft}, [](const S& s) { return Cell{Name(s.best.record.cache)}; }},
          {{"template", "template", kLeft},
           [](const S& s) { return Cell{s.best.record.kernel_template}; }},
          {{"config_id", "id", kLeft}, [](const S& s) { return Cell{s.best.record.config_id}; }},
          {{"config", "knobs", kLeft},
           [](const S& s) {
             return Cell{s.best.record.labels, DescribeConfig(s.best.record.labels)};
           }},
          {{"min_ns", "us"},
           [](const S& s) {
             return Cell{TimesOf(s).min_ns(), Microseconds(TimesOf(s).min_ns())};
           }},
          {{"median_ns", "median us"},
           [](const S& s) {
             return Cell{TimesOf(s).median_ns(), Microseconds(TimesOf(s).median_ns())};
           }},
          {{"gops", "GOP/s"},
           [](const S& s) {
             return Cell{s.gops, fmt::format("{:.1f}", s.gops)};
           }},
          {{"peak_share", "peak"},
           [](const S& s) { return OptionalCell(s.peak_share, ShareText(s.peak_share)); }},
          {{"samples", "samples"},
           [](const S& s) { return Cell{std::int64_t(TimesOf(s).samples_ns.size())}; }},
          {{"trials", "trials"}, [](const S& s) { return Cell{s.best.trials}; }},
          {{"device", "device", kLeft}, [](const S& s) { return Cell{s.best.judged.device}; }},
          {{"measured_at", "measured", kLeft},
           [](const S& s) { return Cell{FormatTime(s.best.judged.measured_at_ms)}; }},
          {{"origin", "how", kLeft}, OriginCell},
          {{"kind", "kind", kLeft}, [](const S& s) { return Cell{Name(s.best.judged.kind)}; }},
          {{"stale", "stale", kLeft}, [](const S& s) { return YesCell(s.stale); }},
          {{"confirmed", "confirmed", kLeft}, [](const S& s) { return YesCell(s.best.confirmed); }},
          {{"op", "op", kLeft},
           [](const S& s) { return s.workload ? Cell{NameOf(s.workload->op)} : Cell{}; }},
          {{"default_ns", "default us"},
           [](const S& s) {
             return OptionalCell(s.untuned_ns(),
                                 s.untuned_ns() ? Microseconds(*s.untuned_ns()) : "");
           }},
          {{"gain", "gain"}, [](const S& s) { return OptionalCell(s.gain(), GainText(s.gain())); }},
          {{"bound_share", "bound"},
           [](const S& s) { return OptionalCell(s.bound_share, ShareText(s.bound_share)); }},
          {{"age_seconds", "age"}, [now](const S& s) { return AgeCell(s, now); }}};
}

// Whether it is one of those that the user wants.
class BestFilter {
 public:
  static StatusOr<BestFilter> Create(const FilterOptions& filter, WallTime now) {
    BestFilter fits(filter);
    if (filter.since.empty()) return fits;
    ASSIGN_OR_RETURN(const WallTime since, ParseSince(filter.since, now));
    fits.since_ms_ = ToUnixMs(since);
    return fits;
  }

  bool operator()(const StoredBest& stored) const {
    const Trial& judged = stored.best.judged;
    return (filter_.op.empty() || (stored.workload && NameOf(stored.workload->op) == filter_.op)) &&
           (filter_.device.empty() || judged.device == filter_.device) &&
           (filter_.kind.empty() || Name(judged.kind) == filter_.kind) &&
           (!since_ms_ || judged.measured_at_ms >= *since_ms_) &&
           (!filter_.stale || stored.stale) && (!filter_.current || !stored.stale) &&
           (!filter_.confirmed || stored.best.confirmed);
  }

 private:
  explicit BestFilter(FilterOptions filter) : filter_(std::move(filter)) {}
  FilterOptions filter_;
  std::optional<std::int64_t> since_ms_;
};

StatusOr<BestQuery> Query(const TuningStore& store, const Options& options) {
  BestQuery query;
  if (!options.all || options.target != "native") {
    ASSIGN_OR_RETURN(query.target, StoredTarget(store, options.target));
  }
  query.threads = options.threads;
  return query;
}

// Leaves the bests of the network, in the order of its layers; returns how many of its workloads
// have none.
std::size_t KeepNetwork(const Network& network, std::vector<StoredBest>& bests) {
  std::multimap<std::string, StoredBest> by_key;
  for (StoredBest& stored : bests) by_key.emplace(stored.best.record.workload, std::move(stored));
  bests.clear();
  std::size_t missing = 0;
  for (const WeightedWorkload& unique : UniqueWorkloads(network)) {
    const auto [from, to] = by_key.equal_range(Key(unique.workload));
    if (from == to) ++missing;
    for (auto it = from; it != to; ++it) bests.push_back(it->second);
  }
  return missing;
}

// A table of nothing is a blank to people; to programs it is an answer.
Status Show(std::vector<StoredBest> bests, const Options& options, WallTime now) {
  ASSIGN_OR_RETURN(const BestFilter fits, BestFilter::Create(options.filter, now));
  const std::size_t stored = bests.size();
  std::erase_if(bests, [&](const StoredBest& each) { return !fits(each); });
  if (bests.empty() && stored > 0) {
    WriteError(fmt::format("note: none of the {} stored configs fits the filters\n", stored));
  }
  const bool is_table = !options.listing.json && !options.listing.csv;
  if (is_table && bests.empty()) return {};
  return WriteListing(MakeListing(BestColumns(now), bests), options.listing, kTableColumns);
}

StatusOr<int> ShowBest(const Environment& env, const Options& options) {
  if (options.all == options.what.any()) {
    return UsageError(
        "say which: one of --all, --model FILE, --network NAME, --layers FILE, --workload KEY...");
  }
  Network network;
  if (!options.all) {
    ASSIGN_OR_RETURN(network, Resolve(options.what));
    RETURN_IF_ERROR(CheckHasLayers(network));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store, OpenStore(env, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const BestQuery query, Query(*store, options));
  RETURN_IF_ERROR(TellUnknownWorkloads(*store));
  RETURN_IF_ERROR(TellFormerKeys(*store, network));
  ASSIGN_OR_RETURN(std::vector<StoredBest> bests, ReadBests(env, *store, query));
  const std::size_t missing = options.all ? 0 : KeepNetwork(network, bests);
  const bool is_empty = bests.empty();
  RETURN_IF_ERROR(Show(std::move(bests), options, SystemClock().Today()));
  const std::string where = query.target ? " for " + *query.target : "";
  if (missing > 0) {
    return Error(StatusCode::kNotFound, missing, " workloads have no tuned config", where,
                 "; `kiln tune` finds them");
  }
  if (is_empty) {
    return Error(StatusCode::kNotFound, "the database has no configs", where,
                 "; `kiln tune` finds some");
  }
  return 0;
}

void AddFilter(CLI::App& command, FilterOptions& filter) {
  constexpr char kGroup[] = "Only some of them";
  command.add_option("--op", filter.op, "of this operator")
      ->check(CLI::IsMember({"conv2d", "depthwise", "dense"}))
      ->group(kGroup);
  command.add_option("--device", filter.device, "measured on the device of this name")
      ->type_name("NAME")
      ->group(kGroup);
  command.add_option("--kind", filter.kind, "with times of this kind")
      ->check(CLI::IsMember({"measured", "emulated", "estimated"}))
      ->group(kGroup);
  command
      .add_option("--since", filter.since,
                  "measured since then: 2026-11-27T22:00:00Z, or an age: 8h, 2d")
      ->check(CheckSince)
      ->type_name("TIME")
      ->group(kGroup);
  auto* stale = command.add_flag("--stale", filter.stale, "of code that this Kiln makes otherwise")
                    ->group(kGroup);
  command.add_flag("--current", filter.current, "not stale")->excludes(stale)->group(kGroup);
  command.add_flag("--confirmed", filter.confirmed, "measured again, in turn with other finalists")
      ->group(kGroup);
}

}  // namespace

void AddBest(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("best", "Show the best stored configs");
  auto options = std::make_shared<Options>();
  AddWhat(*command, options->what);
  command->add_flag("--all", options->all,
                    "every workload in the database (of all targets, unless --target is given)");
  command->add_option("--target", options->target, "a target's name or file")
      ->capture_default_str();
  AddNumber<std::int32_t>(*command, "--threads", options->threads,
                          "only configs for so many threads", kThreadCounts);
  AddFilter(*command, options->filter);
  const std::vector<ColumnHead> heads = HeadsOf(BestColumns({}));
  AddListingOptions(*command, heads, options->listing);
  AddDatabase(*command, env);
  command->footer(
      "gain: how many times as fast as the untuned default, where the same device measured it.\n"
      "peak: share of the measured peak. bound: share of the least time that the multiply-adds "
      "take "
      "at that peak,\n"
      "in vectors that are not full; `kiln bench` also measures what memory and requantizing "
      "allow.\n" +
      DescribeColumns(heads) +
      "\nExamples:\n"
      "  kiln best --network mobilenet_v1\n"
      "  kiln best --model m.tflite --target rasp4b --json\n"
      "  kiln best --all --sort -gain --limit 10 --since 12h\n"
      "  kiln best --all --stale --columns workload,target,age_seconds\n"
      "  kiln best --all --csv > best.csv");
  command->callback(
      [&env, options] { env.action = [&env, options] { return ShowBest(env, *options); }; });
}

}  // namespace kiln
