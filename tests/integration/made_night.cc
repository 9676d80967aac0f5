#include "tests/integration/made_night.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "db/job_store.h"
#include "db/tuning_store.h"
#include "kernels_templates/task.h"
#include "models/model.h"
#include "ops/workload_words.h"

namespace kiln {
namespace {

constexpr std::int64_t kHourMs = 3'600'000, kWeekMs = 7 * 24 * kHourMs;
constexpr char kSpec[] =
    R"({"networks":[{"network":"mobilenet_v1"}],"target":"rasp4b","trials":2000})";

// This writes trials of one session into a database.
class Writer {
 public:
  Writer(const std::string& database, const std::string& command, std::int64_t started_ms) {
    RegisterBuiltinTemplates(registry_);
    auto store = OpenSqliteStore(database, OpenMode::kReadWrite,
                                 {.started_ms = started_ms,
                                  .command = command,
                                  .seed = 1,
                                  .compiler = "clang 19",
                                  .host = "night-box"});
    EXPECT_TRUE(store.ok()) << store.status();
    if (store.ok()) store_ = *std::move(store);
  }

  std::optional<Task> TaskOf(const Workload& workload, const std::string& target) const {
    const StatusOr<Target> found = FindTarget(target);
    EXPECT_TRUE(found.ok()) << found.status();
    if (!found.ok()) return std::nullopt;
    StatusOr<Task> task = Task::Create(registry_, {.workload = workload, .target = *found});
    return task.ok() ? std::optional(*std::move(task)) : std::nullopt;
  }

  // The time of its untuned default on a made-up board: few, large layers are computed best.
  static double UntunedNs(const Task& task) {
    const double operations = Gops(task.workload(), 1);
    return operations / 2.5 + 4e4;
  }

  // The index-th of a walk over the space that begins with the default.
  static Config ConfigOf(const Task& task, std::uint64_t index) {
    if (index == 0) return task.kernel_template().Default(task.spec(), task.space());
    return task.space().At(index * 7919 % task.space().size());
  }

  Trial TrialOf(const Task& task, std::uint64_t index, double ns, std::int64_t at_ms) {
    Trial trial;
    trial.uuid = "made-" + task.Key() + "-" + std::to_string(++uuids_) + std::to_string(at_ms);
    trial.config = ConfigOf(task, index);
    const auto source = task.Emit(trial.config);
    trial.code_digest = source.ok() ? source->code_digest : 0;
    Timings timings;
    for (int s = 0; s < 10; ++s) timings.samples_ns.push_back(ns * (1 + 0.002 * s));
    timings.calls_per_sample = 20;
    trial.outcome = timings;
    trial.device = task.target().name == "pixel6" ? "pixel6-desk"
                                                  : "pi4-kitchen-" + std::to_string(index % 2 + 1);
    trial.measured_at_ms = at_ms;
    trial.before.temperature_c = 48;
    trial.after.temperature_c = 50 + static_cast<double>(index % 12);
    return trial;
  }

  void Add(const Task& task, const std::vector<Trial>& trials) {
    const Status status = store_->Append(task, CacheState::kHot, trials);
    EXPECT_TRUE(status.ok()) << status;
  }
  void Confirm(const Task& task, const Trial& trial) {
    const Status status = store_->AppendConfirmation(task, CacheState::kHot, trial);
    EXPECT_TRUE(status.ok()) << status;
  }
  void AddPeak(const std::string& target, double gops, std::int64_t at_ms) {
    const Status status = store_->AppendPeak(
        {.target = target, .gops = gops, .device = "pi4-kitchen-1", .measured_at_ms = at_ms});
    EXPECT_TRUE(status.ok()) << status;
  }

 private:
  TemplateRegistry registry_;
  std::unique_ptr<TuningStore> store_;
  int uuids_ = 0;
};

// What fails now and then, by the number of the trial.
Failure FailureOf(std::uint64_t index) {
  if (index % 3 == 0) {
    return {Stage::kRun, FailureKind::kTimeout, "no result within 2.0 s"};
  }
  if (index % 3 == 1) {
    return {
        Stage::kCompile, FailureKind::kCompileError,
        "stack frame of 73,728 bytes is larger than 65,536: too many accumulators live at once"};
  }
  return {Stage::kVerify, FailureKind::kWrongResult, "byte 1,204 of 12,544 is 17, want 18"};
}

// What a stretch of tuning adds to a task.
struct Stretch {
  std::uint64_t first = 0, count = 0;  // of the walk
  std::int64_t from_ms = 0, step_ms = 0;
  double best_gain = 1;        // of its fastest over the untuned default
  std::uint64_t failures = 0;  // every so manieth is one; 0: none
};

void Tune(Writer& writer, const Task& task, const Stretch& stretch, Rng& rng) {
  std::vector<Trial> trials;
  const double untuned = Writer::UntunedNs(task);
  const std::uint64_t count = std::min(stretch.count, task.space().size() / 8);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t index = stretch.first + i;
    const double part = count < 2 ? 1 : static_cast<double>(i) / static_cast<double>(count - 1);
    const double gain = 1 + (stretch.best_gain - 1) * part * (0.6 + 0.4 * rng.Unit());
    const std::int64_t at_ms = stretch.from_ms + static_cast<std::int64_t>(i) * stretch.step_ms;
    trials.push_back(writer.TrialOf(task, index, index == 0 ? untuned : untuned / gain, at_ms));
    if (stretch.failures > 0 && index > 0 && index % stretch.failures == 0) {
      trials.back().outcome = FailureOf(index);
    }
  }
  writer.Add(task, trials);
}

// A final round of the default and the last trial of the stretch.
void ConfirmLast(Writer& writer, const Task& task, const Stretch& stretch, std::int64_t at_ms) {
  const double untuned = Writer::UntunedNs(task);
  const std::uint64_t last = stretch.first + std::min(stretch.count, task.space().size() / 8) - 1;
  for (const auto& [index, ns] :
       {std::pair{std::uint64_t{0}, untuned}, std::pair{last, untuned / stretch.best_gain}}) {
    Trial again = writer.TrialOf(task, index, ns * 1.01, at_ms);
    again.device = "pi4-kitchen-1";
    writer.Confirm(task, again);
  }
}

void MakeJobs(const std::string& database, std::int64_t now_ms) {
  auto opened = OpenSqliteJobStore(database, OpenMode::kReadWrite);
  ASSERT_TRUE(opened.ok()) << opened.status();
  JobStore& jobs = **opened;
  const auto run = [&](const std::string& name, const JobStanding& end, std::int64_t hours) {
    const std::int64_t begin = now_ms - 8 * kHourMs + kHourMs / 10;
    const StatusOr<Job> job = jobs.Submit({.uuid = "made-" + name,
                                           .user = "ann",
                                           .name = name,
                                           .target = "rasp4b",
                                           .window = "night",
                                           .spec = kSpec},
                                          begin);
    ASSERT_TRUE(job.ok()) << job.status();
    const auto claim =
        jobs.Claim(job->id, "night-box/1", begin, std::chrono::milliseconds(9 * kHourMs));
    ASSERT_TRUE(claim.ok()) << claim.status();
    const Status moved =
        jobs.Move(*claim, end, {.trials = 900 * hours, .ran_ms = hours * kHourMs, .text = {}},
                  begin + hours * kHourMs);
    ASSERT_TRUE(moved.ok()) << moved;
  };
  run("mobilenet_v1 nightly", {JobState::kDone, JobReason::kComplete, "all 2000 trials are made"},
      6);
  run("camera model",
      {JobState::kFailed, JobReason::kModel,
       "/models/camera.tflite has changed since it was "
       "submitted: submit it again"},
      1);
}

std::vector<Workload> LayersOf(const std::string& network) {
  std::vector<Workload> layers;
  const StatusOr<Network> found = BuiltinNetwork(network);
  EXPECT_TRUE(found.ok()) << found.status();
  if (!found.ok()) return layers;
  for (const WeightedWorkload& each : UniqueWorkloads(*found)) layers.push_back(each.workload);
  return layers;
}

}  // namespace

void MakeGoodNight(const std::string& database, std::int64_t now_ms) {
  Rng rng(15);
  const std::vector<Workload> layers = LayersOf("mobilenet_v1");
  const std::int64_t evening = now_ms - 8 * kHourMs + kHourMs / 10;
  Writer before(database, "kiln tune --network mobilenet_v1 --target rasp4b --trials-per-task 24",
                now_ms - kWeekMs);
  before.AddPeak("rasp4b", 38.4, now_ms - kWeekMs);
  Writer tonight(database, "kiln daemon, job 1: mobilenet_v1 nightly", evening);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::optional<Task> task = before.TaskOf(layers[i], "rasp4b");
    if (!task) continue;
    const double gain = 1.3 + 0.9 * rng.Unit();
    Tune(before, *task,
         {.count = 20,
          .from_ms = now_ms - kWeekMs,
          .step_ms = 60'000,
          .best_gain = gain,
          .failures = 9},
         rng);
    if (i % 5 == 4) continue;  // nothing new of these
    const Stretch news{.first = 20,
                       .count = 28,
                       .from_ms = evening,
                       .step_ms = 30'000,
                       .best_gain = gain * (1.05 + 0.2 * rng.Unit()),
                       .failures = 9};
    Tune(tonight, *task, news, rng);
    if (i % 7 != 6) ConfirmLast(tonight, *task, news, now_ms - kHourMs);
    if (i % 2 == 1) continue;
    if (const std::optional<Task> other = before.TaskOf(layers[i], "pixel6")) {
      Tune(tonight, *other,
           {.count = 10, .from_ms = evening, .step_ms = 30'000, .best_gain = 1.6, .failures = 4},
           rng);
    }
  }
  MakeJobs(database, now_ms);
}

void MakeFailedNight(const std::string& database, std::int64_t now_ms) {
  Writer writer(database, "kiln tune --network mobilenet_v1 --target rasp4b", now_ms - kHourMs);
  for (const Workload& workload : LayersOf("mobilenet_v1")) {
    const std::optional<Task> task = writer.TaskOf(workload, "rasp4b");
    if (!task) continue;
    std::vector<Trial> trials;
    for (std::uint64_t i = 0; i < 4; ++i) {
      trials.push_back(writer.TrialOf(*task, i, 1, now_ms - kHourMs));
      trials.back().outcome = FailureOf(i);
    }
    writer.Add(*task, trials);
  }
}

void MakeOneTask(const std::string& database, std::int64_t now_ms) {
  Rng rng(1);
  Writer writer(database, "kiln tune", now_ms - kHourMs);
  const std::optional<Task> task = writer.TaskOf(LayersOf("mobilenet_v1").front(), "rasp4b");
  ASSERT_TRUE(task);
  Tune(writer, *task, {.count = 3, .from_ms = now_ms - kHourMs, .step_ms = 1000, .best_gain = 1.5},
       rng);
}

void MakeManyTasks(const std::string& database, std::int64_t now_ms, int tasks) {
  Rng rng(500);
  Writer writer(database, "kiln tune --layers many.csv", now_ms - kHourMs);
  Workload workload = LayersOf("mobilenet_v1").front();
  for (int i = 0; i < tasks; ++i) {
    workload.o = 16 + 8 * i;
    const std::optional<Task> task = writer.TaskOf(workload, "rasp4b");
    if (!task) continue;
    Tune(
        writer, *task,
        {.count = 4, .from_ms = now_ms - kHourMs, .step_ms = 1000, .best_gain = 1.5, .failures = 3},
        rng);
  }
}

}  // namespace kiln
