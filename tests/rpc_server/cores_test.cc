#include "rpc_server/cores.h"

#include <gmock/gmock.h>

namespace kiln {
namespace {

using testing::ElementsAre;

TEST(CoresTest, SomeCoreIsUsable) { EXPECT_FALSE(UsableCores().empty()); }

TEST(CoresTest, ReadsNumbersAndRanges) {
  const std::vector<std::int32_t> usable{0, 1, 2, 3};
  EXPECT_THAT(*ParseCores("2", usable), ElementsAre(2));
  EXPECT_THAT(*ParseCores("3,0-1,0", usable), ElementsAre(0, 1, 3));
}

TEST(CoresTest, RefusesWhatIsNoList) {
  const std::vector<std::int32_t> usable{0, 1, 2, 3};
  for (const char* list : {"", ",", "0,", "a", "0-", "2-1", "-1", "0x1", "0 1", "99999999999"}) {
    EXPECT_EQ(ParseCores(list, usable).status().code(), StatusCode::kInvalidArgument) << list;
  }
}

TEST(CoresTest, RefusesCoresThatMayNotBeUsed) {
  EXPECT_EQ(Message(ParseCores("0-5", {0, 1}).status()),
            "core 2 is not one that this program may use");
  EXPECT_FALSE(ParseCores("0-2000000000", {0, 1}).ok());
}

}  // namespace
}  // namespace kiln
