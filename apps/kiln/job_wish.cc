// `kiln pause`, `resume` and `cancel`.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "apps/kiln/command.h"
#include "apps/kiln/daemon_access.h"
#include "base/standard_streams.h"

namespace kiln {
namespace {

struct WishOptions {
  DaemonAccess daemon;
  std::vector<std::string> jobs;  // ids, or names of series
  bool now = false;
};

StatusOr<std::int64_t> JobId(const std::string& word) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (error != std::errc() || end != word.data() + word.size() || id < 1) {
    return UsageError("`", word, "` is no job: give its number in `kiln jobs`");
  }
  return id;
}

Status WishOne(DaemonClient& client, const WishOptions& options, JobWish wish,
               const std::string& word) {
  StatusOr<std::int64_t> id = JobId(word);
  if (!id.ok() && wish == JobWish::kCancel) {
    RETURN_IF_ERROR(client.EndSeries(word, UserName()));
    WriteOutput(fmt::format("{}: does not come again; its jobs stay\n", word));
    return {};
  }
  RETURN_IF_ERROR(id.status());
  const JobWish meant = wish == JobWish::kCancel && options.now ? JobWish::kCancelNow : wish;
  ASSIGN_OR_RETURN(const std::string text, client.Wish(*id, meant, UserName()));
  if (options.daemon.json) {
    WriteOutputLine(text);
    return {};
  }
  const JobObject job = ParseJob(text);
  if (const std::string pending = TextOf(job, "wish"); !pending.empty()) {
    const bool cuts = pending == Name(JobWish::kCancelNow);
    WriteOutput(
        fmt::format("job {}: {} is asked for; {}\n", *id, pending,
                    cuts ? "what its tuner measures is cut" : "its tuner ends what it measures"));
    return {};
  }
  PrintJobLine(job);
  return {};
}

// All of them, even if one fails; the first error counts.
StatusOr<int> WishAll(const WishOptions& options, JobWish wish) {
  const std::unique_ptr<DaemonClient> client = ClientOf(options.daemon);
  Status worst;
  for (const std::string& word : options.jobs) {
    Status status = WishOne(*client, options, wish, word);
    if (status.ok()) continue;
    if (!worst.ok()) WriteError("kiln: " + Message(worst) + "\n");
    worst = std::move(status);
  }
  RETURN_IF_ERROR(worst);
  return 0;
}

void AddWish(CLI::App& app, Environment& env, const std::string& name, const std::string& help,
             JobWish wish) {
  auto* command = app.add_subcommand(name, help);
  auto o = std::make_shared<WishOptions>();
  command
      ->add_option("ID", o->jobs,
                   wish == JobWish::kCancel ? "jobs, or the name of what comes again" : "jobs")
      ->required();
  if (wish == JobWish::kCancel) {
    command->add_flag("--now", o->now, "cut the kernel that runs; its trial is lost");
  }
  AddDaemonAccess(*command, o->daemon);
  command->footer("Examples:\n  kiln " + name + " 7");
  command->callback([&env, o, wish] { env.action = [o, wish] { return WishAll(*o, wish); }; });
}

}  // namespace

void AddJobWishes(CLI::App& app, Environment& env) {
  AddWish(app, env, "pause", "Stop jobs at the end of what they measure, until resumed",
          JobWish::kPause);
  AddWish(app, env, "resume", "Let paused jobs go on", JobWish::kNone);
  AddWish(app, env, "cancel", "End jobs; their trials are kept", JobWish::kCancel);
}

}  // namespace kiln
