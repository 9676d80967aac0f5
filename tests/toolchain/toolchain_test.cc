#include "toolchain/toolchain.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/digest.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// y = x + 1, with a config that is refused when lowered and one that does not compile.
class IncrementTemplate final : public KernelTemplate {
 public:
  enum Kind { kGood, kRefused, kBroken };
  std::string_view name() const override { return "increment.portable"; }
  bool Supports(const TaskSpec&) const override { return true; }
  StatusOr<ConfigSpace> Space(const TaskSpec&) const override {
    return ConfigSpace::Create({ChoiceKnob("kind", {"good", "refused", "broken"})}, {});
  }
  StatusOr<LoopProgram> Lower(const TaskSpec&, const ConfigSpace& space,
                              const Config& config) const override {
    const auto kind = space.Value(config, "kind");
    if (kind == kRefused) return Error(StatusCode::kInvalidArgument, "nothing to increment");
    LoopProgram program;
    program.phases.push_back({4, {Text(kind == kGood ? "(void)begin, (void)end;" : "begin +;")}});
    return program;
  }
  Config Default(const TaskSpec&, const ConfigSpace&) const override { return {{kGood}}; }
  void Features(const TaskSpec&, const ConfigSpace&, const Config&,
                std::span<float> out) const override {
    std::fill(out.begin(), out.end(), 0.0f);
  }
};

// The processes that this one has started and not reaped.
int Children() {
  int count = 0;
  for (const auto& task : fs::directory_iterator("/proc/self/task")) {
    std::ifstream children(task.path() / "children");
    for (pid_t pid; children >> pid;) ++count;
  }
  return count;
}

class ToolchainTest : public testing::Test {
 protected:
  ~ToolchainTest() override { fs::remove_all(cache_); }

  std::unique_ptr<Builder> Open() {
    auto builder = NewToolchain(*reactor_, {.workers = 1, .cache_dir = cache_});
    EXPECT_TRUE(builder.ok()) << builder.status();
    return *std::move(builder);
  }
  static Task SomeTask() {
    TaskSpec spec;
    spec.target.name = "test";
    spec.target.arch = "x86_64";
    spec.target.cpu = "haswell";
    return *Task::Create(std::make_shared<IncrementTemplate>(), spec);
  }

  const std::string cache_ =
      fs::temp_directory_path() / ("toolchain_test." + std::to_string(getpid()));
  const std::unique_ptr<Reactor> reactor_ = NewReactor();
};

TEST_F(ToolchainTest, ArtifactIsNamedByItsContent) {
  const Task task = SomeTask();
  const Config config{{IncrementTemplate::kGood}};
  auto built = Open()->Build(task, config);
  ASSERT_TRUE(built.ok()) << built.status();
  const auto* artifact = std::get_if<Artifact>(&*built);
  ASSERT_NE(artifact, nullptr) << std::get<BuildFailure>(*built).failure.message;
  EXPECT_EQ(artifact->object->substr(0, 4), "\177ELF");
  EXPECT_EQ(artifact->code_digest, task.Emit(config)->code_digest);
  EXPECT_EQ(artifact->symbol, "kiln_" + Hex(artifact->code_digest));
  EXPECT_EQ(artifact->object_digest, Digest(*artifact->object));
}

TEST_F(ToolchainTest, CacheHitStartsNoWorker) {
  auto first = Open()->Build(SomeTask(), {{IncrementTemplate::kGood}});
  ASSERT_EQ(Children(), 0) << "the first toolchain is gone, and its worker with it";
  auto builder = Open();
  auto second = builder->Build(SomeTask(), {{IncrementTemplate::kGood}});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*std::get<Artifact>(*second).object, *std::get<Artifact>(*first).object);
  EXPECT_EQ(Children(), 0);
  ASSERT_TRUE(builder->Build(SomeTask(), {{IncrementTemplate::kBroken}}).ok());
  EXPECT_EQ(Children(), 1) << "a miss starts one";
}

TEST_F(ToolchainTest, RefusedConfigFailsInLowering) {
  auto built = Open()->Build(SomeTask(), {{IncrementTemplate::kRefused}});
  ASSERT_TRUE(built.ok()) << built.status();
  const auto& failure = std::get<BuildFailure>(*built);
  EXPECT_EQ(failure.failure.stage, Stage::kLower);
  EXPECT_EQ(failure.failure.kind, FailureKind::kInvalidConfig);
  EXPECT_EQ(failure.failure.message, "nothing to increment");
  EXPECT_EQ(failure.code_digest, 0u);
}

TEST_F(ToolchainTest, BrokenSourceFailsInCompiling) {
  auto built = Open()->Build(SomeTask(), {{IncrementTemplate::kBroken}});
  ASSERT_TRUE(built.ok()) << built.status();
  const auto& failure = std::get<BuildFailure>(*built);
  EXPECT_EQ(failure.failure.stage, Stage::kCompile);
  EXPECT_EQ(failure.failure.kind, FailureKind::kCompileError);
  EXPECT_THAT(failure.failure.message, HasSubstr("error: expected expression"));
  EXPECT_NE(failure.code_digest, 0u);
}

}  // namespace
}  // namespace kiln
