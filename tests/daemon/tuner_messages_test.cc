#include "daemon/tuner_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln {
namespace {

using testing::HasSubstr;

TunerOrder AnOrder() {
  TunerOrder order;
  order.job = 7;
  order.spec.networks.push_back({.network = "resnet18", .weight = 2});
  order.database = "/var/kiln.db";
  order.client = "daemon";
  order.seconds = 1.5;
  return order;
}

TEST(TunerMessagesTest, AnOrderArrivesAsItWasSent) {
  for (const bool has_limit : {true, false}) {
    TunerOrder order = AnOrder();
    if (!has_limit) order.seconds.reset();
    const StatusOr<TunerOrder> read = ParseTunerOrder(ToJson(order));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->spec, order.spec);
    EXPECT_EQ(read->seconds, order.seconds);
    EXPECT_EQ(ToJson(*read), ToJson(order));
  }
}

TEST(TunerMessagesTest, AnOrderWithAnythingElseInItIsNone) {
  std::string json = ToJson(AnOrder());
  json.insert(1, R"("tracer":"x",)");
  const StatusOr<TunerOrder> read = ParseTunerOrder(json);
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(Message(read.status()), HasSubstr("no member tracer"));
  EXPECT_FALSE(ParseTunerOrder("[]").ok());
}

}  // namespace
}  // namespace kiln
