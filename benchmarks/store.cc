// What the tuning store costs, per trial, next to what a trial costs (docs/store.md):
//   benchmark_store [TASKS TRIALS]
// Prints the cost of appending trials singly and in batches, of replaying the history of a task
// (with and without lowering its configs) and of asking for all best configs.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "benchmarks/made_up_trials.h"

namespace {

using kiln::Check;
using kiln::Task;
using kiln::Trial;

double Microseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

int main(int argc, char** argv) {
  const int tasks = argc > 1 ? std::atoi(argv[1]) : 50;
  const std::uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000;
  std::string directory = (std::filesystem::temp_directory_path() / "kiln-store-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return 1;
  auto opened = kiln::OpenSqliteStore(directory + "/tuning.db", kiln::OpenMode::kReadWrite);
  Check(opened.status());
  kiln::TuningStore& store = **opened;
  kiln::TemplateRegistry registry;
  kiln::RegisterBuiltinTemplates(registry);
  const auto cache = kiln::CacheState::kHot;

  double single = 0, batched = 0;
  std::size_t singles = 0, in_batches = 0, in_first = 0;
  for (int number = 0; number < tasks; ++number) {
    const Task task = kiln::TaskOf(registry, number);
    const std::vector<Trial> trials = kiln::TrialsOf(task, count);
    const std::size_t batch = number == 0 ? 1 : 16;
    const double us = Microseconds([&] {
      for (std::size_t i = 0; i < trials.size(); i += batch) {
        Check(store.Append(task, cache,
                           std::span(trials).subspan(i, std::min(batch, trials.size() - i))));
      }
    });
    (number == 0 ? single : batched) += us;
    (number == 0 ? singles : in_batches) += trials.size();
    if (number == 0) in_first = trials.size();
  }
  std::printf("append, a transaction each      %8.1f us per trial\n", single / singles);
  std::printf("append, 16 in a transaction     %8.1f us per trial\n", batched / in_batches);

  const Task first = kiln::TaskOf(registry, 0);
  const double records = Microseconds(
      [&] { Check(store.Records({.workload = kiln::Key(first.workload())}).status()); });
  const double history = Microseconds([&] { Check(store.History(first, cache).status()); });
  std::printf("records of a task               %8.1f us per trial\n", records / in_first);
  std::printf("history, configs lowered again  %8.1f us per trial\n", history / in_first);

  const double bests = Microseconds([&] { Check(store.Bests({}).status()); });
  const double one =
      Microseconds([&] { Check(store.Bests({.workload = kiln::Key(first.workload())}).status()); });
  std::printf("best of all tasks               %8.1f ms (%d tasks, %zu trials)\n", bests / 1e3,
              tasks, singles + in_batches);
  std::printf("best of one task                %8.1f ms (%zu trials)\n", one / 1e3, in_first);
  opened->reset();
  std::filesystem::remove_all(directory);
}
