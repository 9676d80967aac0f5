#include "kernels_templates/task.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kernels_templates/fake_template.h"

namespace kiln {
namespace {

using ::testing::HasSubstr;

// Leaves no legal config.
class BarrenTemplate final : public KernelTemplate {
 public:
  std::string_view name() const override { return "barren"; }
  bool Supports(const TaskSpec&) const override { return true; }
  StatusOr<ConfigSpace> Space(const TaskSpec&) const override {
    return ConfigSpace::Create({IntKnob("tile", {1})},
                               {{"no tile fits", {"tile"}, [](auto) { return false; }}});
  }
  StatusOr<LoopProgram> Lower(const TaskSpec&, const ConfigSpace&, const Config&) const override {
    return LoopProgram();
  }
  Config Default(const TaskSpec&, const ConfigSpace&) const override { return {}; }
  void Features(const TaskSpec&, const ConfigSpace&, const Config&,
                std::span<float>) const override {}
};

TEST(TaskTest, KeyNamesWorkloadTargetThreadsAndTemplate) {
  const Task task = FakeTask({}, FakeSpec(4));
  EXPECT_EQ(task.Key(), Key(FakeSpec().workload) + "|testbed|t4|fake.portable");
  EXPECT_EQ(task.threads(), 4);
  EXPECT_EQ(task.space().size(), 11u);
}

TEST(TaskTest, EachConfigHasItsCodeAndTheSameConfigTheSameCode) {
  const Task task = FakeTask();
  std::set<std::uint64_t> digests;
  for (std::uint64_t i = 0; i < task.space().size(); ++i) {
    const auto source = task.Emit(task.space().At(i));
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ(task.Emit(task.space().At(i))->c, source->c);
    digests.insert(source->code_digest);
  }
  EXPECT_EQ(digests.size(), task.space().size());
}

TEST(TaskTest, EmitRefusesConfigsOutsideOfTheSpaceAndPassesOnWhatLoweringSays) {
  const Task task = FakeTask({.refused_tile = 2});
  EXPECT_EQ(task.Emit({{2, 1, 1}}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(task.Emit({{9, 9, 9}}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(task.Emit({{1, 0, 0}}).status()), "a tile of 2 is refused");
}

// A device refuses what it lacks an instruction for by what the kernel says of itself.
TEST(TaskTest, KernelsNeedAllThatTheirCompilerMayUse) {
  TaskSpec spec = FakeSpec();
  const std::string portable = FakeTask({}, spec).Emit(FakeTask({}, spec).space().At(0))->c;
  spec.target.isa = Bit(IsaFeature::kNeon) | Bit(IsaFeature::kDotProd);
  const Task task = FakeTask({}, spec);
  const std::string dots = task.Emit(task.space().At(0))->c;
  EXPECT_THAT(dots, HasSubstr(", 0, " + std::to_string(spec.target.isa)));
  EXPECT_NE(portable, dots);
}

TEST(TaskTest, FeaturesAreTheTemplates) {
  std::array<float, kFeatureCount> features{};
  FakeTask().Features({{2, 1, 0}}, features);
  EXPECT_EQ(features[0], 2.0f);
  EXPECT_EQ(features[1], 1.0f);
}

// One rule for stores and lock files.
TEST(TaskTest, AConfigIsCurrentIfItsCodeIsTheOneThatWasMeasured) {
  const Task task = FakeTask();
  const Config config = task.space().At(1);
  const ConfigLabels labels = task.space().Labels(config);
  const std::uint64_t code = task.Emit(config)->code_digest;
  const StatusOr<Config> current = CurrentConfig(task, labels, code);
  ASSERT_TRUE(current.ok()) << current.status();
  EXPECT_EQ(*current, config);

  const auto why = [&](const Task& today, std::uint64_t measured) {
    const Status status = CurrentConfig(today, labels, measured).status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    return Message(status);
  };
  EXPECT_THAT(why(task, code + 1), HasSubstr("makes other code of its config"));
  EXPECT_THAT(why(FakeTask({.body = "changed"}), code), HasSubstr("makes other code"));
  EXPECT_THAT(why(FakeTask({.tiles = {7}}), code), HasSubstr("tile"));
  const Task refusing = FakeTask({.refused_tile = task.space().Value(config, "tile")});
  EXPECT_THAT(why(refusing, code), HasSubstr("is refused"));
  EXPECT_TRUE(CurrentConfig(refusing, labels, 0).ok()) << "it was refused when it was tried, too";
}

TEST(TaskTest, CreateSaysWhyThereIsNoTask) {
  const auto fake = std::make_shared<FakeTemplate>();
  EXPECT_EQ(Task::Create(fake, FakeSpec(0)).status().code(), StatusCode::kInvalidArgument);

  TaskSpec dense = FakeSpec();
  dense.workload.op = OpKind::kDense;
  const Status unsupported = Task::Create(fake, dense).status();
  EXPECT_EQ(unsupported.code(), StatusCode::kUnimplemented);
  EXPECT_THAT(Message(unsupported), HasSubstr("fake.portable does not compute dense/"));

  const Status empty = Task::Create(std::make_shared<BarrenTemplate>(), FakeSpec()).status();
  EXPECT_EQ(empty.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(empty), HasSubstr("on testbed with barren"));
  EXPECT_THAT(Message(empty), HasSubstr("no tile fits"));
}

}  // namespace
}  // namespace kiln
