#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dashboard/dashboard.h"
#include "gtest/gtest.h"
#include "ops/workload_key.h"
#include "tests/db/trials.h"

namespace kiln {

inline constexpr std::int64_t kHour = 3'600'000, kTonight = 1'700'000'000'000;

// A store in memory with trials of fake tasks on the target "testbed", which is known; what came
// from kTonight on is new, and it is eight hours later.
class Scene {
 public:
  explicit Scene(const FakeTemplate::Options& options = {}) : options_(options) {
    registry_.Register(std::make_shared<FakeTemplate>(options));
    scope_.since_ms = kTonight;
    scope_.now_ms = kTonight + 8 * kHour;
  }

  // A layer of so many output channels.
  Task Layer(std::int32_t channels = 16) const {
    TaskSpec spec = FakeSpec();
    spec.workload.o = channels;
    return FakeTask(options_, spec);
  }

  // A trial of the index-th config that took `ns`, so long after the evening.
  Trial Add(const Task& task, std::uint64_t index, double ns, std::int64_t after_ms = kHour) {
    Trial trial = OkTrial(task, index, ns, NewUuid());
    trial.measured_at_ms = kTonight + after_ms;
    Append(task, trial);
    return trial;
  }
  Trial AddFailure(const Task& task, std::uint64_t index, const Failure& failure,
                   std::int64_t after_ms = kHour) {
    Trial trial = FailedTrial(task, index, failure, NewUuid());
    trial.measured_at_ms = kTonight + after_ms;
    Append(task, trial);
    return trial;
  }
  // Measures it in turn with the others of that moment.
  void Confirm(const Task& task, std::uint64_t index, double ns, std::int64_t after_ms) {
    Trial trial = OkTrial(task, index, ns, NewUuid());
    trial.measured_at_ms = kTonight + after_ms;
    const Status status = store_->AppendConfirmation(task, CacheState::kHot, trial);
    ASSERT_TRUE(status.ok()) << status;
  }

  // Each with these layers, as often as it says.
  void LookAt(const std::vector<std::pair<Task, int>>& layers) {
    Network network{.name = "toy"};
    for (const auto& [task, count] : layers) {
      for (int i = 0; i < count; ++i) {
        network.layers.push_back({.name = "layer", .workload = task.workload()});
      }
    }
    scope_.network = std::move(network);
    scope_.what = "--network toy";
  }

  std::vector<LayerFacts> Layers() const {
    auto layers = ReadLayers(Sources(), scope_, *statistics_->Tasks(scope_.since_ms));
    EXPECT_TRUE(layers.ok()) << layers.status();
    return layers.ok() ? *std::move(layers) : std::vector<LayerFacts>();
  }
  Dashboard Read(const JobStore* jobs = nullptr) const {
    const StoreFile file{.path = "/home/me/tuning.db", .bytes = 12'345'678, .log_bytes = 4096};
    auto dashboard = ReadDashboard(Sources(), jobs, file, scope_);
    EXPECT_TRUE(dashboard.ok()) << dashboard.status();
    return dashboard.ok() ? *std::move(dashboard) : Dashboard();
  }
  TuningStore& store() { return *store_; }
  DashboardScope& scope() { return scope_; }
  TemplateRegistry& registry() { return registry_; }
  const TrialStatistics& statistics() const { return *statistics_; }

 private:
  std::string NewUuid() { return "s" + std::to_string(++uuids_); }
  void Append(const Task& task, const Trial& trial) {
    const Status status = store_->Append(task, CacheState::kHot, std::vector<Trial>{trial});
    ASSERT_TRUE(status.ok()) << status;
  }
  DashboardSources Sources() const {
    return {*store_, *statistics_, registry_, [](const std::string& name) {
              return name == "testbed" ? std::optional(FakeSpec().target) : std::nullopt;
            }};
  }

  const FakeTemplate::Options options_;
  TemplateRegistry registry_;
  const std::unique_ptr<TuningStore> store_ = NewMemoryStore();
  const std::unique_ptr<TrialStatistics> statistics_ = NewTrialStatistics(*store_);
  DashboardScope scope_;
  int uuids_ = 0;
};

}  // namespace kiln
