#include "measure/uuid.h"

#include <gmock/gmock.h>

#include <set>

namespace kiln {
namespace {

TEST(UuidTest, HasTheFormOfVersion4) {
  for (const std::string& uuid : {RandomUuid(), RandomUuid()}) {
    ASSERT_EQ(uuid.size(), 36U);
    for (const std::size_t dash : {8U, 13U, 18U, 23U}) EXPECT_EQ(uuid[dash], '-');
    EXPECT_EQ(uuid[14], '4');
    EXPECT_THAT(uuid[19], ::testing::AnyOf('8', '9', 'a', 'b'));
  }
}

TEST(UuidTest, NoTwoAreTheSame) {
  std::set<std::string> uuids;
  for (int i = 0; i < 1000; ++i) uuids.insert(RandomUuid());
  EXPECT_EQ(uuids.size(), 1000U);
}

TEST(UuidTest, AStreamRepeatsItself) {
  Rng a(7), b(7), c(8);
  const std::string first = DeterministicUuid(a);
  EXPECT_EQ(first, DeterministicUuid(b));
  EXPECT_NE(first, DeterministicUuid(a));
  EXPECT_NE(first, DeterministicUuid(c));
}

}  // namespace
}  // namespace kiln
