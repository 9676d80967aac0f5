// `kiln top`: devices, queue and running tasks, as they are now.

#include <CLI/CLI.hpp>
#include <filesystem>

#include "apps/kiln/command.h"
#include "apps/kiln/daemon_access.h"
#include "apps/kiln/interrupt.h"
#include "apps/kiln/terminal.h"
#include "apps/kiln/top_picture.h"
#include "apps/kiln/top_screen.h"
#include "apps/kiln/top_sources.h"
#include "base/standard_streams.h"
#include "daemon/daemon_config.h"
#include "proto/address.h"

namespace kiln {
namespace {

struct TopOptions {
  std::string daemon;
  bool once = false;
};

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// What was named; and what lies where everybody looks, if nothing was.
StatusOr<TopSources> SourcesOf(const Environment& env, const TopOptions& options) {
  TopSources sources;
  if (!env.tracker.empty()) {
    ASSIGN_OR_RETURN(sources.tracker, TrackerOf(env));
  }
  const std::string socket = DefaultDaemonSocket();
  if (!options.daemon.empty()) {
    sources.daemon = DaemonAccess{.address = options.daemon, .tls = env.tls};
  } else if (env.db.empty() && env.tracker.empty() && Exists(std::string(UnixPath(socket)))) {
    sources.daemon = DaemonAccess{.address = socket};
  }
  ASSIGN_OR_RETURN(const std::string database, DatabasePath(env));
  if (!env.db.empty() || Exists(database)) sources.database = database;
  if (sources.tracker || sources.daemon || !sources.database.empty()) return sources;
  return UsageError("there is nothing to look at yet: no database at ", database,
                    ", no daemon; name one of --db FILE, --daemon ADDRESS, --tracker ADDRESS");
}

std::string TitleOf(const TopSources& sources) {
  std::string title;
  const auto add = [&](const std::string& text) { title += (title.empty() ? "" : "  ") + text; };
  if (sources.tracker) add("tracker " + sources.tracker->address);
  if (sources.daemon) add("daemon " + sources.daemon->address);
  if (!sources.database.empty()) add(sources.database);
  return title;
}

template <typename T>
bool IsMissing(const std::optional<Heard<T>>& heard) {
  return heard && !heard->trouble.ok();
}

// All rows; as wide as the terminal, or as they need where there is none.
int PrintOnce(const TopSources& sources) {
  TopFacts facts = FactsBefore(sources);
  for (const TopQuestion& question : QuestionsFor(sources)) {
    question(ToUnixMs(SystemClock().Today()))(facts);
  }
  facts.at_ms = ToUnixMs(SystemClock().Today());
  constexpr std::size_t kEndless = 100'000;
  const OutputFace face = FaceOfOutput();
  const Canvas canvas{.columns = face.is_terminal ? static_cast<std::size_t>(face.width) : kEndless,
                      .rows = kEndless,
                      .unicode = face.charset == PlotCharset::kUnicode};
  WriteOutputLine(
      Printable("kiln top  " + FormatTime(facts.at_ms) + "  " + TitleOf(sources), canvas.unicode));
  for (const TopLine& line : DrawTop(facts, {}, canvas).lines) WriteOutputLine(line.text);
  const bool missing = IsMissing(facts.farm) || IsMissing(facts.queue) || IsMissing(facts.store);
  return missing ? kFailureStatus : 0;
}

StatusOr<int> Top(const Environment& env, const TopOptions& options) {
  ASSIGN_OR_RETURN(const TopSources sources, SourcesOf(env, options));
  if (options.once) return PrintOnce(sources);
  const std::unique_ptr<Reactor> reactor = NewReactor();
  const Interrupt interrupt(*reactor, /*words=*/"");
  RETURN_IF_ERROR(ShowTop(
      sources, SystemClock(), [&] { return interrupt.requested(); }, TitleOf(sources)));
  return 0;
}

}  // namespace

void AddTop(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand(
      "top", "Watch devices, the daemon's queue and running tasks on a terminal");
  auto o = std::make_shared<TopOptions>();
  command->add_flag("--once", o->once, "print it once, without colours, and end");
  AddDatabase(*command, env);
  AddTracker(*command, env, "whose devices are shown");
  command
      ->add_option("--daemon", o->daemon, "whose queue is shown: unix:PATH, or HOST:PORT over TLS")
      ->envname("KILN_DAEMON")
      ->check(CheckServerAddress)
      ->type_name("ADDRESS");
  command->footer(
      "Without any of them: this user's daemon and database. Reads only; ? shows the keys.\n"
      "Examples:\n"
      "  kiln top\n"
      "  kiln top --tracker farm.local:9190 --db team.db\n"
      "  watch -n 10 kiln top --once");
  command->callback([&env, o] { env.action = [&env, o] { return Top(env, *o); }; });
}

}  // namespace kiln
