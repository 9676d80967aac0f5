#include "dashboard/changes_view.h"

#include <gmock/gmock.h>

#include "tests/dashboard/scene.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(ChangesViewTest, WhatWasBestBeforeIsNoChange) {
  Scene scene;
  scene.Add(scene.Layer(), 1, 800, -kHour);
  scene.Add(scene.Layer(), 2, 900, kHour);
  EXPECT_THAT(MakeChangesView(scene.Layers(), 10).rows, IsEmpty());
}

TEST(ChangesViewTest, WinnerOfAComparisonInTurnIsSafeWithAnInterval) {
  Scene scene;
  const Task task = scene.Layer();
  scene.Add(task, 1, 800, -kHour);
  scene.Add(task, 2, 400, kHour);
  scene.Confirm(task, 1, 800, 2 * kHour);
  scene.Confirm(task, 2, 400, 2 * kHour);
  const ChangesView view = MakeChangesView(scene.Layers(), 10);
  ASSERT_THAT(view.rows, SizeIs(1));
  const ChangesView::Row& row = view.rows[0];
  EXPECT_TRUE(row.is_safe) << row.why;
  EXPECT_EQ(view.safe, 1u);
  EXPECT_EQ(row.from_config, task.space().Id(task.space().At(1)));
  EXPECT_EQ(row.from_ns, 800);
  EXPECT_EQ(row.to_ns, 400);
  ASSERT_TRUE(row.paired);
  EXPECT_GT(row.paired->low, 1.9);
  EXPECT_EQ(row.paired->pairs, 10);
  EXPECT_EQ(row.samples, 10);
  EXPECT_EQ(row.verified, 2);
  EXPECT_EQ(row.devices, 1);
}

TEST(ChangesViewTest, UnconfirmedBestIsNotSafe) {
  Scene scene;
  scene.Add(scene.Layer(), 1, 800, -kHour);
  scene.Add(scene.Layer(), 2, 400, kHour);
  const ChangesView view = MakeChangesView(scene.Layers(), 10);
  ASSERT_THAT(view.rows, SizeIs(1));
  EXPECT_FALSE(view.rows[0].is_safe);
  EXPECT_THAT(view.rows[0].why, HasSubstr("not confirmed"));
  EXPECT_FALSE(view.rows[0].paired) << "nothing was measured in turn";
}

TEST(ChangesViewTest, GainWithinTheNoiseIsNotSafe) {
  Scene scene;
  const Task task = scene.Layer();
  // Of equal ones the smaller id is the best: let it be the new one.
  std::uint64_t before = 1, now = 2;
  const auto id = [&](std::uint64_t i) { return task.space().Id(task.space().At(i)); };
  if (id(before) < id(now)) std::swap(before, now);
  scene.Add(task, before, 800, -kHour);
  scene.Add(task, now, 799, kHour);
  scene.Confirm(task, before, 800, 2 * kHour);
  scene.Confirm(task, now, 800, 2 * kHour);
  const ChangesView view = MakeChangesView(scene.Layers(), 10);
  ASSERT_THAT(view.rows, SizeIs(1));
  EXPECT_FALSE(view.rows[0].is_safe);
  EXPECT_THAT(view.rows[0].why, HasSubstr("as fast as before"));
}

TEST(ChangesViewTest, FirstBestIsComparedWithTheUntunedOne) {
  Scene scene;
  const Task task = scene.Layer();
  scene.Add(task, 0, 1000);
  scene.Add(task, 2, 400);
  scene.Confirm(task, 0, 1000, 2 * kHour);
  scene.Confirm(task, 2, 400, 2 * kHour);
  const ChangesView view = MakeChangesView(scene.Layers(), 10);
  ASSERT_THAT(view.rows, SizeIs(1));
  EXPECT_EQ(view.rows[0].from_config, "untuned");
  EXPECT_EQ(view.rows[0].from_ns, 1000);
  EXPECT_TRUE(view.rows[0].is_safe);
}

TEST(ChangesViewTest, StaleBestIsNeverSafe) {
  Scene scene;
  const Task task = scene.Layer();
  scene.Add(task, 2, 400);
  scene.Confirm(task, 2, 400, 2 * kHour);
  FakeTemplate::Options changed;
  changed.body = "other code";
  scene.registry().Register(std::make_shared<FakeTemplate>(changed));
  const ChangesView view = MakeChangesView(scene.Layers(), 10);
  ASSERT_THAT(view.rows, SizeIs(1));
  EXPECT_FALSE(view.rows[0].is_safe);
  EXPECT_THAT(view.rows[0].why, HasSubstr("stale"));
}

TEST(ChangesViewTest, LargestSavingOfTheNetworkComesFirstAndTheRestIsCounted) {
  Scene scene;
  for (const std::int32_t channels : {16, 32, 48}) {
    const Task task = scene.Layer(channels);
    scene.Add(task, 0, 1000);
    scene.Add(task, 2, 1000 - channels);
  }
  const ChangesView view = MakeChangesView(scene.Layers(), 2);
  ASSERT_THAT(view.rows, SizeIs(2));
  EXPECT_EQ(view.rows[0].to_ns, 952);
  EXPECT_EQ(view.left_out, 1u);
}

}  // namespace
}  // namespace kiln
