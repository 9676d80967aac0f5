#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "examples/own_template/outer_product_dense.h"
#include "kernels_templates/task.h"
#include "ops/target.h"
#include "ops/workload_key.h"

// What the example in docs/writing_a_template.md promises beside exact kernels, which consumer.sh
// checks.

namespace kiln {
namespace {

Task TaskOf(const std::string& key) {
  return *Task::Create(NewOuterProductDense(), {*ParseWorkload(key), Target{.name = "any"}, 1});
}

const char* const kKeys[] = {"dense/i8/n3c100/o77/pc/wz0/act=none/rq=int9/double",
                             "dense/u8/n9c5/o17/pt/wz/act=lohi/rq=gen/double"};

float Feature(const Task& task, const Config& config, std::string_view name) {
  std::array<float, kFeatureCount> features;
  task.Features(config, features);
  const auto names = FeatureNames();
  return features[std::find(names.begin(), names.end(), name) - names.begin()];
}

TEST(OwnTemplateTest, FeaturesCountWhatTheProgramDoes) {
  for (const char* key : kKeys) {
    const Task task = TaskOf(key);
    for (std::uint64_t i = 0; i < task.space().size(); ++i) {
      const Config config = task.space().At(i);
      const auto program = task.kernel_template().Lower(task.spec(), task.space(), config);
      ASSERT_TRUE(program.ok()) << Message(program.status());
      const OpCounts counts = program->Count();
      const auto expect = [&](const char* name, double count) {
        EXPECT_FLOAT_EQ(Feature(task, config, name), std::log2(1 + count))
            << name << " of " << key << " config " << i;
      };
      expect("dots", counts.dots);
      expect("loads", counts.loads);
      expect("broadcasts", counts.broadcasts);
      expect("stores", counts.stores);
      expect("requantizes", counts.requantizes);
      expect("calls", counts.calls);
    }
  }
}

TEST(OwnTemplateTest, EveryConfigIsCodeOfItsOwn) {
  for (const char* key : kKeys) {
    const Task task = TaskOf(key);
    std::set<std::uint64_t> digests;
    for (std::uint64_t i = 0; i < task.space().size(); ++i) {
      const auto source = task.Emit(task.space().At(i));
      ASSERT_TRUE(source.ok()) << Message(source.status());
      digests.insert(source->code_digest);
    }
    EXPECT_EQ(digests.size(), task.space().size()) << key;
  }
}

TEST(OwnTemplateTest, DefaultIsLegalForSmallShapes) {
  const Task task = TaskOf("dense/i8/n1c1/o1/pc/wz0/act=none/rq=gen/double");
  const Config config = task.kernel_template().Default(task.spec(), task.space());
  EXPECT_TRUE(task.space().Contains(config));
}

TEST(OwnTemplateTest, ServesDenseLayersBeforeTheBuiltinTemplates) {
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  registry.Register(NewOuterProductDense());
  const TaskSpec spec = {*ParseWorkload(kKeys[0]), Target{.name = "any"}, 1};
  EXPECT_EQ((*registry.For(spec))->name(), "dense.outer_product");
}

}  // namespace
}  // namespace kiln
