#include "dashboard/layer_facts.h"

#include <gmock/gmock.h>

#include "tests/dashboard/scene.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Config 0 of the fake template is its default.

TEST(LayerFactsTest, LayerHasItsBestItsDefaultAndTheKnobsBetweenThem) {
  Scene scene;
  const Task task = scene.Layer();
  scene.Add(task, 0, 1000);
  scene.Add(task, 4, 400);
  const auto layers = scene.Layers();
  ASSERT_THAT(layers, SizeIs(1));
  EXPECT_EQ(layers[0].best_ns(), 400);
  EXPECT_EQ(layers[0].untuned_ns(), 1000);
  const ConfigLabels from = task.space().Labels(task.space().At(0)),
                     to = task.space().Labels(task.space().At(4));
  std::vector<KnobChange> differing;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] != to[i]) differing.push_back({from[i].first, from[i].second, to[i].second});
  }
  ASSERT_THAT(differing, testing::Not(IsEmpty()));
  EXPECT_EQ(layers[0].knobs, differing);
}

TEST(LayerFactsTest, DefaultThatIsTheBestHasNoKnobsThatDiffer) {
  Scene scene;
  scene.Add(scene.Layer(), 0, 10);
  scene.Add(scene.Layer(), 4, 400);
  EXPECT_THAT(scene.Layers().at(0).knobs, IsEmpty());
}

TEST(LayerFactsTest, TimesOfOtherDevicesAreNotComparedWithTheBest) {
  Scene scene;
  const Task task = scene.Layer();
  Trial elsewhere = OkTrial(task, 0, 5, "elsewhere");
  elsewhere.device = "board-2";
  ASSERT_TRUE(scene.store().Append(task, CacheState::kHot, std::vector<Trial>{elsewhere}).ok());
  scene.Add(task, 4, 400);
  scene.Add(task, 5, 500);
  const auto layers = scene.Layers();
  EXPECT_EQ(layers.at(0).best_ns(), 400) << "board-1 measured the most configs";
  EXPECT_FALSE(layers.at(0).untuned_ns()) << "the default was only measured on board-2";
}

TEST(LayerFactsTest, NetworkSaysHowOftenAndWhatWasNeverTried) {
  Scene scene;
  scene.Add(scene.Layer(16), 0, 1000);
  scene.Add(scene.Layer(64), 0, 1000);  // not of the network
  scene.LookAt({{scene.Layer(32), 1}, {scene.Layer(16), 3}});
  const auto layers = scene.Layers();
  ASSERT_THAT(layers, SizeIs(2));
  EXPECT_EQ(layers[0].trials, 0);
  EXPECT_FALSE(layers[0].best);
  EXPECT_EQ(layers[1].count, 3);
  EXPECT_TRUE(layers[1].best);
}

TEST(LayerFactsTest, NetworkThatNobodyTriedHasNoLayersAnywhere) {
  Scene scene;
  scene.Add(scene.Layer(64), 0, 1000);
  scene.LookAt({{scene.Layer(32), 1}});
  EXPECT_THAT(scene.Layers(), IsEmpty());
}

TEST(LayerFactsTest, BestOfCodeThatNobodyMakesAnyMoreIsStale) {
  Scene scene;
  scene.Add(scene.Layer(), 0, 1000);
  EXPECT_FALSE(scene.Layers().at(0).best->stale);
  FakeTemplate::Options changed;
  changed.body = "other code";
  scene.registry().Register(std::make_shared<FakeTemplate>(changed));
  EXPECT_TRUE(scene.Layers().at(0).best->stale);
}

TEST(LayerFactsTest, FormerBestIsTheOneOfBeforeAsItIsJudgedToday) {
  Scene scene;
  const Task task = scene.Layer();
  scene.Add(task, 1, 800, -kHour);
  EXPECT_FALSE(scene.Layers().at(0).is_changed());
  scene.Add(task, 2, 500, kHour);
  scene.Confirm(task, 1, 820, 2 * kHour);
  scene.Confirm(task, 2, 510, 2 * kHour);
  const auto layers = scene.Layers();
  EXPECT_TRUE(layers.at(0).is_changed());
  EXPECT_EQ(layers[0].former->record.config_id, task.space().Id(task.space().At(1)));
  EXPECT_EQ(RankTime(layers[0].former->judged), 800);
  EXPECT_EQ(RankTime(*layers[0].former_today), 820);
}

}  // namespace
}  // namespace kiln
