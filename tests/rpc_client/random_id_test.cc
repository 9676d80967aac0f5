#include "rpc_client/random_id.h"

#include <gmock/gmock.h>

#include <set>

namespace kiln {
namespace {

TEST(RandomIdTest, IsAVersion4Uuid) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(RandomId(),
                testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
                                      "[0-9a-f]{12}"));
  }
}

TEST(RandomIdTest, EachIsAnother) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(RandomId());
  EXPECT_EQ(ids.size(), 1000u);
}

}  // namespace
}  // namespace kiln
