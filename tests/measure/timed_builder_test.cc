#include "measure/timed_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/kernels_templates/fake_template.h"
#include "tests/measure/stepping_clock.h"

namespace kiln {
namespace {

// Takes a second, and gives what it is told to.
class SlowBuilder final : public Builder {
 public:
  using Result = StatusOr<std::variant<Artifact, BuildFailure>>;
  SlowBuilder(SteppingClock& clock, Result result) : clock_(clock), result_(std::move(result)) {}
  Result Build(const Task&, const Config&) override {
    clock_.Pass(std::chrono::seconds(1));
    return result_;
  }

 private:
  SteppingClock& clock_;
  const Result result_;
};

TEST(TimedBuilderTest, TellsHowLongEachBuildTookAndWhetherItCouldBeDone) {
  const Status broken = Error(StatusCode::kUnavailable, "no worker");
  const std::vector<SlowBuilder::Result> results = {
      Artifact{nullptr, "p", 7, 8},
      BuildFailure{{Stage::kCompile, FailureKind::kCompileError, "no"}, 7}, broken};
  const Task task = FakeTask();
  for (const SlowBuilder::Result& result : results) {
    SteppingClock clock;
    std::vector<std::pair<Nanoseconds, Status>> told;
    const auto builder = NewTimedBuilder(
        std::make_unique<SlowBuilder>(clock, result), clock,
        [&](Nanoseconds time, const Status& status) { told.emplace_back(time, status); });
    const auto built = builder->Build(task, task.space().At(0));
    EXPECT_EQ(built.status(), result.status());
    ASSERT_EQ(built.ok(), result.ok());
    if (built.ok()) {
      EXPECT_EQ(built->index(), result->index());
    }
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].first, std::chrono::seconds(1));
    EXPECT_EQ(told[0].second, result.status()) << "a kernel's failure is none of the builder";
  }
}

}  // namespace
}  // namespace kiln
