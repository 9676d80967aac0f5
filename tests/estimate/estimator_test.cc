// Kernels estimated from end to end for this machine's architecture: the emulator, the program in
// it, the models. Skips where there is no qemu-user.

#include "estimate/estimator.h"

#include <gmock/gmock.h>

#include "base/paths.h"
#include "kernels_templates/kernel_template.h"
#include "ops/workload_key.h"
#include "toolchain/toolchain.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr char kArch[] = "x86_64";

Target EstimatedTarget() {
  Target target;
  target.name = "estimated";
  target.arch = kArch;
  target.cpu = "haswell";
  target.isa = Bit(IsaFeature::kAvx2);
  target.estimate = EstimateModel{"haswell", 2};
  return target;
}

class EstimatorTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const Status& missing :
         {FindProgram("qemu-x86_64").status(), FindHelper("kiln-count-host-x86_64").status(),
          FindHelper("kiln-count-plugin.so").status()}) {
      if (!missing.ok()) GTEST_SKIP() << "NOTHING IS ESTIMATED: " << Message(missing);
    }
    RegisterBuiltinTemplates(registry_);
    auto estimator = NewEstimator(*reactor_, {.target = EstimatedTarget()});
    ASSERT_TRUE(estimator.ok()) << estimator.status();
    devices_ = *std::move(estimator);
    auto lease =
        devices_->Acquire(EstimatedTarget(), TimeKind::kEstimated, std::chrono::seconds(10));
    ASSERT_TRUE(lease.ok()) << lease.status();
    lease_ = *std::move(lease);
  }

  Task ConvTask(std::int32_t channels) const {
    TaskSpec spec;
    spec.workload = *ParseWorkload("conv2d/i8/n1h8w8c" + std::to_string(channels) +
                                   "/o32/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=step1/double");
    spec.target = EstimatedTarget();
    return *Task::Create(registry_, spec);
  }
  Artifact Build(const Task& task) const {
    const auto builder = *NewToolchain(*reactor_, {.workers = 1, .cache_bytes = 0});
    auto built = builder->Build(task, task.kernel_template().Default(task.spec(), task.space()));
    EXPECT_TRUE(built.ok()) << built.status();
    return std::get<Artifact>(*std::move(built));
  }
  RunResult Run(const Task& task, const Artifact& artifact, const RunCase& changed) {
    const RunRequest request{&artifact, task.workload(), {changed}, {}};
    auto result = lease_->Run(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : RunResult{};
  }
  double TimeOf(const Task& task) {
    const Artifact artifact = Build(task);
    const RunCase first = expected_->CasesFor(task.workload())[0];
    const RunResult result = Run(task, artifact, first);
    if (const auto* failure = std::get_if<Failure>(&result.outcome)) {
      ADD_FAILURE() << failure->message;
      return 0;
    }
    return std::get<Timings>(result.outcome).min_ns();
  }

  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  TemplateRegistry registry_;
  const std::unique_ptr<ExpectedOutputs> expected_ = NewExpectedOutputs();
  std::unique_ptr<DevicePool> devices_;
  std::unique_ptr<Lease> lease_;
};

TEST_F(EstimatorTest, TimesGrowWithTheWorkAndAreTheSameAgain) {
  const double ns = TimeOf(ConvTask(32)), longer = TimeOf(ConvTask(256));
  // 2048 pixels and channels times 32 products, at most 32 a cycle, 2 cycles a nanosecond.
  EXPECT_GT(ns, 1024);
  EXPECT_LT(ns, 50 * 1024);
  EXPECT_GT(longer, 3 * ns);
  EXPECT_EQ(TimeOf(ConvTask(32)), ns);
  EXPECT_EQ(lease_->device(), "model:haswell@2GHz");
}

TEST_F(EstimatorTest, AWrongKernelGetsNoEstimate) {
  const Task task = ConvTask(32);
  RunCase wrong = expected_->CasesFor(task.workload())[0];
  wrong.expected_digest ^= 1;
  const RunResult result = Run(task, Build(task), wrong);
  const auto* failure = std::get_if<Failure>(&result.outcome);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->kind, FailureKind::kWrongResult);
}

TEST_F(EstimatorTest, AnObjectThatIsNoneIsAFailureAndTheNextIsEstimated) {
  const Task task = ConvTask(32);
  Artifact broken = Build(task);
  broken.object = std::make_shared<const std::string>("not an object");
  const RunResult result = Run(task, broken, expected_->CasesFor(task.workload())[0]);
  const auto* failure = std::get_if<Failure>(&result.outcome);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->kind, FailureKind::kBadObject);
  EXPECT_GT(TimeOf(task), 0);
}

TEST_F(EstimatorTest, RefusesWhatAModelOfOneCoreDoesNotKnow) {
  const Task task = ConvTask(32);
  const Artifact artifact = Build(task);
  RunRequest request{&artifact, task.workload(), expected_->CasesFor(task.workload()), {}};
  request.plan.threads = 2;
  EXPECT_EQ(lease_->Run(request).status().code(), StatusCode::kInvalidArgument);
  request.plan = {.cache = CacheState::kCold};
  EXPECT_EQ(lease_->Run(request).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(EstimatorTest, TellsWhatItCannotEstimate) {
  Target target = EstimatedTarget();
  target.isa |= Bit(IsaFeature::kAvx512) | Bit(IsaFeature::kAvx512Vnni);
  EXPECT_THAT(Message(NewEstimator(*reactor_, {.target = target}).status()),
              HasSubstr("does not emulate avx512"));
  target = EstimatedTarget();
  target.estimate->mca_cpu = "i387";
  EXPECT_THAT(Message(NewEstimator(*reactor_, {.target = target}).status()), HasSubstr("i387"));
  target.estimate.reset();
  EXPECT_THAT(Message(NewEstimator(*reactor_, {.target = target}).status()),
              HasSubstr("docs/targets.md"));
}

}  // namespace
}  // namespace kiln
