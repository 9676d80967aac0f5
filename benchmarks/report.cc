// What the page of the morning costs with many trials (docs/looking.md):
//   benchmark_report [TASKS TRIALS [FILE.html [FILE.db]]]
// Makes a database of so many tasks with so many trials each, a few of them failures, and prints how
// long each answer takes and how large the page is; both stay where files are named. The database is written with SQL of its own:
// through the store, 100,000 trials take minutes.

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/rng.h"
#include "benchmarks/made_up_trials.h"
#include "dashboard/dashboard.h"
#include "dashboard/report_page.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000, kDay = 86'400'000;

struct Database {
  std::string directory, path;
};

// Through the store, so that a trial looks as trials do; then many more like it.
void Fill(const Database& database, int tasks, std::uint64_t trials,
          const TemplateRegistry& registry) {
  Check(OpenSqliteStore(database.path, OpenMode::kReadWrite, {.command = "benchmark"}).status());
  SQLite::Database file(database.path, SQLite::OPEN_READWRITE);
  file.exec("PRAGMA synchronous = OFF");
  SQLite::Transaction transaction(file);
  file.exec(
      "INSERT INTO sessions (started_ms, command, seed, compiler, host)"
      " VALUES (1, 'benchmark', '0', '', 'here')");
  SQLite::Statement task_row(file,
                             "INSERT INTO tasks (workload, target, threads, cache, template)"
                             " VALUES (?, ?, 1, 'hot', ?)");
  SQLite::Statement trial_row(file,
                              "INSERT INTO trials (task_id, seq, config_id, labels, code_digest,"
                              " kind, batch, session_id) VALUES (?, ?, ?, ?, ?, 'measured', 0, 1)");
  SQLite::Statement ok_row(file,
                           "INSERT INTO measurements (uuid, trial_id, purpose, kind, device,"
                           " measured_ms, status, samples, calls, min_ns, median_ns)"
                           " VALUES (?, ?, 'tune', 'measured', ?, ?, 'ok', ?, 20, ?, ?)");
  SQLite::Statement failed_row(file,
                               "INSERT INTO measurements (uuid, trial_id, purpose, kind, device,"
                               " measured_ms, status, stage, message)"
                               " VALUES (?, ?, 'tune', 'measured', ?, ?, 'timeout', 'run', ?)");
  Rng rng(1);
  std::int64_t number = 0;
  const auto run = [](SQLite::Statement& statement) {
    statement.exec();
    statement.reset();
  };
  for (int t = 0; t < tasks; ++t) {
    const Task task = TaskOf(registry, t);
    task_row.bind(1, Key(task.workload()));
    task_row.bind(2, task.target().name);
    task_row.bind(3, std::string(task.kernel_template().name()));
    run(task_row);
    for (std::uint64_t i = 0; i < trials; ++i) {
      ++number;
      const Config config = task.space().At(i % task.space().size());
      std::string labels;
      for (const auto& [knob, label] : task.space().Labels(config)) {
        labels += fmt::format("{}\"{}\":\"{}\"", labels.empty() ? "" : ",", knob, label);
      }
      trial_row.bind(1, t + 1);
      trial_row.bind(2, static_cast<std::int64_t>(i) + 1);
      trial_row.bind(3, task.space().Id(config));
      trial_row.bind(4, "{" + labels + "}");
      trial_row.bind(5, fmt::format("{:016x}", i + 1));
      run(trial_row);
      const std::int64_t at = kNow - static_cast<std::int64_t>(rng.Below(3 * kDay));
      SQLite::Statement& row = rng.Below(20) == 0 ? failed_row : ok_row;
      row.bind(1, fmt::format("benchmark-{}", number));
      row.bind(2, number);
      row.bind(3, fmt::format("board-{}", rng.Below(2)));
      row.bind(4, at);
      if (&row == &failed_row) {
        row.bind(5, fmt::format("{} s", rng.Below(100)));
      } else {
        const double ns = 1e5 * (1 + rng.Unit());
        std::string samples;
        for (int s = 0; s < 10; ++s) samples += fmt::format("{}{:.4f}", s > 0 ? "," : "[", ns + s);
        row.bind(5, samples + "]");
        row.bind(6, ns);
        row.bind(7, ns + 5);
      }
      run(row);
    }
  }
  transaction.commit();
}

// The least of three, in ms.
double Milliseconds(const std::function<void()>& work) {
  double least = 1e9;
  for (int i = 0; i < 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    least = std::min(least, took.count());
  }
  return least;
}

struct Kept {
  std::string page, database;  // files; empty: none
};

void Run(int tasks, std::uint64_t trials, const Kept& kept) {
  Database database;
  database.directory = (std::filesystem::temp_directory_path() / "kiln-report-XXXXXX").string();
  if (mkdtemp(database.directory.data()) == nullptr) std::exit(1);
  database.path = database.directory + "/tuning.db";
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  Fill(database, tasks, trials, registry);

  auto store = OpenSqliteStore(database.path, OpenMode::kReadOnly);
  Check(store.status());
  auto statistics = OpenSqliteStatistics(database.path);
  Check(statistics.status());
  const TrialStatistics& s = **statistics;
  const std::int64_t since = kNow - kDay;
  const auto say = [](const char* what, double ms) { fmt::print("{:<28} {:8.1f} ms\n", what, ms); };
  say("tasks", Milliseconds([&] { Check(s.Tasks(since).status()); }));
  say("failures", Milliseconds([&] { Check(s.Failures(since, 40).status()); }));
  say("devices", Milliseconds([&] { Check(s.Devices(since).status()); }));
  say("readings", Milliseconds([&] { Check(s.Readings(since).status()); }));
  const std::vector<TaskActivity> activity = *s.Tasks(since);
  std::vector<TaskNames> latest;  // as many as `kiln top` shows
  for (std::size_t i = 0; i < std::min<std::size_t>(activity.size(), 60); ++i) {
    latest.push_back(activity[i].task);
  }
  say("curves of 60", Milliseconds([&] { Check(s.Curves(latest).status()); }));
  say("repetitions", Milliseconds([&] { Check(s.Repetitions().status()); }));
  say("bests", Milliseconds([&] { Check((*store)->Bests({}).status()); }));
  say("bests of before", Milliseconds([&] { Check(s.BestsBefore(since).status()); }));
  say("sessions", Milliseconds([&] { Check(s.NewestSessions(12).status()); }));

  Target target;
  target.name = "benchmark";
  const DashboardSources sources{**store, s, registry, [&](const std::string& name) {
                                   return name == target.name ? std::optional<Target>(target)
                                                              : std::nullopt;
                                 }};
  const DashboardScope scope{.since_ms = since, .now_ms = kNow};
  const StoreFile file{.path = database.path};
  StatusOr<Dashboard> dashboard = Error(StatusCode::kUnknown, "not read");
  say("layers", Milliseconds([&] { Check(ReadLayers(sources, scope, activity).status()); }));
  say("all views", Milliseconds([&] {
        dashboard = ReadDashboard(sources, nullptr, file, scope);
        Check(dashboard.status());
      }));
  std::string page;
  say("page", Milliseconds([&] { page = RenderReport(*dashboard); }));
  fmt::print("{:<28} {:8} bytes of {} tasks, {} trials\n", "page", page.size(), tasks,
             dashboard->store.trials);
  if (!kept.page.empty()) std::ofstream(kept.page, std::ios::binary) << page;
  if (!kept.database.empty()) {
    SQLite::Database(database.path).exec(fmt::format("VACUUM INTO '{}'", kept.database));
  }
  std::filesystem::remove_all(database.directory);
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  const int tasks = argc > 1 ? std::atoi(argv[1]) : 500;
  const std::uint64_t trials = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 200;
  kiln::Run(tasks, trials, {argc > 3 ? argv[3] : "", argc > 4 ? argv[4] : ""});
}
