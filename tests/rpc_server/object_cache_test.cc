#include "rpc_server/object_cache.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

ObjectCache::Object Bytes(std::size_t size) { return std::make_shared<std::string>(size, 'x'); }

TEST(ObjectCacheTest, KeepsWhatItIsGiven) {
  ObjectCache cache(100);
  EXPECT_EQ(cache.Find(1), nullptr);
  cache.Put(1, Bytes(10));
  ASSERT_NE(cache.Find(1), nullptr);
  EXPECT_EQ(cache.Find(1)->size(), 10u);
}

TEST(ObjectCacheTest, TheLeastRecentlyUsedGoes) {
  ObjectCache cache(100);
  cache.Put(1, Bytes(40));
  cache.Put(2, Bytes(40));
  EXPECT_NE(cache.Find(1), nullptr);
  cache.Put(3, Bytes(40));
  EXPECT_NE(cache.Find(1), nullptr);
  EXPECT_EQ(cache.Find(2), nullptr);
  EXPECT_NE(cache.Find(3), nullptr);
}

TEST(ObjectCacheTest, WhatIsTooLargeIsNotKept) {
  ObjectCache cache(100);
  cache.Put(1, Bytes(10));
  cache.Put(2, Bytes(101));
  EXPECT_EQ(cache.Find(2), nullptr);
  cache.Put(3, Bytes(100));
  EXPECT_NE(cache.Find(3), nullptr);
}

TEST(ObjectCacheTest, TheSameObjectTwiceCountsOnce) {
  ObjectCache cache(100);
  for (int i = 0; i < 5; ++i) cache.Put(1, Bytes(40));
  cache.Put(2, Bytes(40));
  EXPECT_NE(cache.Find(1), nullptr);
  EXPECT_NE(cache.Find(2), nullptr);
}

}  // namespace
}  // namespace kiln
