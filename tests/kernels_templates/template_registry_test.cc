#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kernels_templates/fake_template.h"

namespace kiln {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const KernelTemplate> Fake(FakeTemplate::Options options) {
  return std::make_shared<FakeTemplate>(std::move(options));
}

TEST(TemplateRegistryTest, FindsByNameOrListsTheNames) {
  TemplateRegistry registry;
  EXPECT_THAT(Message(registry.Find("a").status()), HasSubstr("known: none"));
  registry.Register(Fake({.name = "a"}));
  registry.Register(Fake({.name = "b"}));
  EXPECT_EQ((*registry.Find("b"))->name(), "b");
  const Status missing = registry.Find("c").status();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(missing), HasSubstr("no template named c; known: a, b"));
}

TEST(TemplateRegistryTest, TheLastThatSupportsATaskServesIt) {
  TemplateRegistry registry;
  registry.Register(Fake({.name = "portable"}));
  registry.Register(Fake({.name = "avx2", .isa = Bit(IsaFeature::kAvx2)}));
  registry.Register(Fake({.name = "dense", .op = OpKind::kDense}));
  TaskSpec spec = FakeSpec();
  EXPECT_EQ((*registry.For(spec))->name(), "portable");
  spec.target.isa = Bit(IsaFeature::kAvx2);
  EXPECT_EQ((*registry.For(spec))->name(), "avx2");
  registry.Register(Fake({.name = "mine"}));
  EXPECT_EQ((*registry.For(spec))->name(), "mine");
  EXPECT_EQ(Task::Create(registry, spec)->kernel_template().name(), "mine");
}

TEST(TemplateRegistryTest, ATemplateOfTheSameNameTakesThePlaceAndComesLast) {
  TemplateRegistry registry;
  const auto newer = Fake({.name = "a", .body = "newer"});
  registry.Register(Fake({.name = "a"}));
  registry.Register(Fake({.name = "b"}));
  registry.Register(newer);
  EXPECT_EQ(registry.all().size(), 2u);
  EXPECT_EQ(*registry.For(FakeSpec()), newer);
  EXPECT_EQ(*registry.Find("a"), newer);
}

TEST(TemplateRegistryTest, SaysWhichTaskNoTemplateServes) {
  TemplateRegistry registry;
  registry.Register(Fake({.name = "dense", .op = OpKind::kDense}));
  const Status none = registry.For(FakeSpec()).status();
  EXPECT_EQ(none.code(), StatusCode::kUnimplemented);
  EXPECT_THAT(Message(none), HasSubstr("no template computes conv2d/"));
  EXPECT_THAT(Message(none), HasSubstr("on testbed; known: dense"));
  EXPECT_EQ(Task::Create(registry, FakeSpec()).status(), none);
}

}  // namespace
}  // namespace kiln
