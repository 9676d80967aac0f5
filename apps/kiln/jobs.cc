// `kiln jobs`, and `kiln job` for one of them.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "apps/kiln/command.h"
#include "apps/kiln/daemon_access.h"
#include "apps/kiln/table.h"
#include "base/standard_streams.h"
#include "daemon/window.h"

namespace kiln {
namespace {

struct JobsOptions {
  DaemonAccess daemon;
  bool all = false, mine = false;
  std::int64_t limit = 200;
};

void PrintDaemon(const JobObject& daemon) {
  for (const JobObject& window : daemon.value("windows", JobObject::array())) {
    WriteOutput(fmt::format("window {}: {}\n", TextOf(window, "name"), TextOf(window, "text")));
  }
  for (const JobObject& series : daemon.value("series", JobObject::array())) {
    WriteOutput(fmt::format("series {}: again with each night of window {} ({})\n",
                            TextOf(series, "name"), TextOf(series, "window"),
                            TextOf(series, "user")));
  }
  if (const int left_off = daemon.value("left_off", 0); left_off > 0) {
    WriteOutput(fmt::format("{} more that wait: --limit shows them\n", left_off));
  }
  if (const std::string trouble = TextOf(daemon, "trouble"); !trouble.empty()) {
    WriteOutput("trouble: " + trouble + "\n");
  }
  if (const std::string trouble = TextOf(daemon, "maintenance"); !trouble.empty()) {
    WriteOutput("maintenance: " + trouble + "\n");
  }
}

StatusOr<int> ListJobs(const JobsOptions& options) {
  ASSIGN_OR_RETURN(const JobList list, ClientOf(options.daemon)
                                           ->List({.ended = options.all,
                                                   .user = options.mine ? UserName() : "",
                                                   .limit = options.limit}));
  if (options.daemon.json) {
    for (const std::string& job : list.jobs) WriteOutputLine(job);
    return 0;
  }
  using A = Table::Align;
  Table table({{"id"},
               {"state", A::kLeft},
               {"name", A::kLeft},
               {"user", A::kLeft},
               {"target", A::kLeft},
               {"prio"},
               {"trials"},
               {"why", A::kLeft}});
  for (const std::string& text : list.jobs) {
    const JobObject job = ParseJob(text);
    table.Add({std::to_string(job.value("id", 0)), TextOf(job, "state"), TextOf(job, "name"),
               TextOf(job, "user"), TextOf(job, "target"), std::to_string(job.value("priority", 0)),
               ProgressOf(job), TextOf(job, "text")});
  }
  if (table.empty()) {
    WriteOutput(options.all ? "no jobs: `kiln submit` makes one\n"
                            : "no jobs wait or run; --all shows those that have ended\n");
  } else {
    WriteOutput(table.Print());
  }
  PrintDaemon(ParseJob(list.daemon));
  return 0;
}

void PrintField(const char* name, const std::string& value) {
  if (!value.empty()) WriteOutput(fmt::format("{:<10} {}\n", name, value));
}

std::string Time(double ns) {
  return ns < 1e6 ? fmt::format("{:.1f} us", 1e-3 * ns) : fmt::format("{:.3f} ms", 1e-6 * ns);
}

void PrintNetworks(const JobObject& job) {
  for (const JobObject& network : job.value("networks", JobObject::array())) {
    const int layers = network.value("tasks", 0);
    std::string line =
        fmt::format("{}: {} layer{}", TextOf(network, "name"), layers, layers == 1 ? "" : "s");
    if (network.contains("after_ns")) line += ", " + Time(network.value("after_ns", 0.0));
    if (network.contains("gain")) {
      line += fmt::format(" (untuned {}, {:.2f} times as fast)",
                          Time(network.value("before_ns", 0.0)), network.value("gain", 0.0));
    }
    PrintField("network", line);
  }
}

void PrintJob(const JobObject& job) {
  WriteOutput(fmt::format("job {}: {}\n", job.value("id", 0), TextOf(job, "name")));
  PrintField("state", fmt::format("{} ({}) since {}", TextOf(job, "state"), TextOf(job, "reason"),
                                  TextOf(job, "since")));
  PrintField("why", TextOf(job, "text"));
  PrintField("user", TextOf(job, "user"));
  PrintField("target", TextOf(job, "target"));
  PrintField("window", TextOf(job, "window"));
  PrintField("deadline", TextOf(job, "deadline"));
  PrintField("priority", std::to_string(job.value("priority", 0)));
  PrintField("trials", fmt::format("{}, {} made in {}", ProgressOf(job), job.value("trials", 0),
                                   FormatSpan(std::chrono::milliseconds(static_cast<std::int64_t>(
                                       1000 * job.value("ran_seconds", 0.0))))));
  if (job.contains("forecast")) {
    PrintField("done by", job.contains("done_by")
                              ? TextOf(job, "done_by") + " (" + TextOf(job, "forecast") + ")"
                              : "not known: " + TextOf(job, "forecast"));
  }
  PrintNetworks(job);
  WriteOutput("\n");
  using A = Table::Align;
  Table history({{"when", A::kLeft}, {"state", A::kLeft}, {"why", A::kLeft}, {"by", A::kLeft}});
  for (const JobObject& step : job.value("history", JobObject::array())) {
    history.Add(
        {TextOf(step, "at"), TextOf(step, "state"), TextOf(step, "text"), TextOf(step, "by")});
  }
  if (!history.empty()) WriteOutput(history.Print());
}

struct OneJobOptions {
  DaemonAccess daemon;
  std::int64_t id = 0;
};

StatusOr<int> ShowJob(const OneJobOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, ClientOf(options.daemon)->Show(options.id));
  options.daemon.json ? WriteOutputLine(text) : PrintJob(ParseJob(text));
  return 0;
}

}  // namespace

void AddJobs(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("jobs", "List the daemon's jobs and why each one waits");
  auto o = std::make_shared<JobsOptions>();
  command->add_flag("--all", o->all, "those that have ended, too");
  command->add_flag("--mine", o->mine, "only my own");
  AddNumber<std::int64_t>(*command, "--limit", o->limit, "at most so many, the newest",
                          {1, 100'000})
      ->default_str("200");
  AddDaemonAccess(*command, o->daemon);
  command->footer("Examples:\n  kiln jobs\n  kiln jobs --all --json");
  command->callback([&env, o] { env.action = [o] { return ListJobs(*o); }; });
}

void AddJob(CLI::App& app, Environment& env) {
  auto* command =
      app.add_subcommand("job", "One job: why it waits, when it will be done, what it found");
  auto o = std::make_shared<OneJobOptions>();
  AddNumber<std::int64_t>(*command, "ID", o->id, "of `kiln jobs`", {1})->required();
  AddDaemonAccess(*command, o->daemon);
  command->footer("Examples:\n  kiln job 7");
  command->callback([&env, o] { env.action = [o] { return ShowJob(*o); }; });
}

}  // namespace kiln
