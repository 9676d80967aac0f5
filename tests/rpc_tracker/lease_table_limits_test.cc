// What is kept is bounded, and whoever fills it gives way.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/rpc_tracker/table_fixture.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

class LeaseTableLimitsTest : public TableFixture {
 protected:
  explicit LeaseTableLimitsTest(const LeaseTableOptions& options = {.ttl = kTtl})
      : TableFixture(options) {}

  // So many requests, of which the table takes in what it returns.
  int AskOften(int count, const std::string& party, const std::string& client) {
    int taken = 0;
    for (int i = 0; i < count; ++i) {
      const Status status = table_.Request(now_, AskAs(std::to_string(++last_id_), party, client));
      if (status.ok()) ++taken;
      if (!status.ok()) refusal_ = status;
    }
    return taken;
  }

  Status refusal_;
  int last_id_ = 0;
};

TEST_F(LeaseTableLimitsTest, AClientMayHaveSoManyRequestsWaiting) {
  EXPECT_EQ(AskOften(10'000, "p", "greedy@box:1"), 256);
  EXPECT_EQ(refusal_.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(Message(refusal_),
            "greedy@box:1 has 256 requests waiting, as many as one client may have: ask again "
            "when some of them have been answered");
  EXPECT_EQ(table_.waiting(), 256u);
  EXPECT_TRUE(table_.TakeActions().empty()) << "a refused call's id may be another's";
}

TEST_F(LeaseTableLimitsTest, APartyMayHaveSoManyRequestsWaiting) {
  int taken = 0;
  for (int client = 0; client < 10; ++client) {
    taken += AskOften(256, "p", "greedy" + std::to_string(client));
  }
  EXPECT_EQ(table_.waiting(), 2048u);
  EXPECT_THAT(Message(refusal_), HasSubstr("the clients of p have 2048 requests waiting"));
  EXPECT_EQ(AskOften(1, "q", "honest"), 1);
  EXPECT_GT(taken, 2048) << "later clients displaced requests of the first";
}

TEST_F(LeaseTableLimitsTest, AllTogetherHaveSoManyRequestsWaiting) {
  for (int party = 0; party < 10; ++party) {
    for (int client = 0; client < 4; ++client) {
      AskOften(256, "p" + std::to_string(party), "c" + std::to_string(client));
    }
  }
  EXPECT_EQ(table_.waiting(), 4096u);
}

TEST_F(LeaseTableLimitsTest, ALimitCountsWhatWaitsNow) {
  EXPECT_EQ(AskOften(257, "p", "c"), 256);
  MustCancel("1", "p");
  EXPECT_EQ(AskOften(2, "p", "c"), 1);
  Pass(std::chrono::hours(24));
  EXPECT_EQ(table_.waiting(), 0u);
  EXPECT_EQ(AskOften(257, "p", "c"), 256);
}

TEST_F(LeaseTableLimitsTest, ARepeatedRequestCountsOnce) {
  EXPECT_EQ(AskOften(256, "p", "c"), 256);
  MustRequest(AskAs("7", "p", "c"));
  EXPECT_EQ(table_.waiting(), 256u);
}

TEST_F(LeaseTableLimitsTest, WhoIsServedAtOnceNeedsNoRoom) {
  AskOften(256, "p", "c");
  DeviceHello other = Hello("other");
  other.target = "rasp4b";
  MustRegister(other);
  LeaseRequest request = AskAs("served", "p", "c");
  request.target = "rasp4b";
  request.wait = milliseconds(0);
  MustRequest(request);
  EXPECT_THAT(AcknowledgeAll(), testing::ElementsAre("served"));
}

// A greedy client, and one that asks for a lease when it has given back the last.
TEST_F(LeaseTableLimitsTest, TenThousandRequestsOfOneLeaveTheOtherServedInItsTurn) {
  MustRegister(Hello("a"));
  AskOften(10'000, "p", "greedy");
  int honest = 0;
  std::string next;
  for (int lease = 0; lease < 200; ++lease) {
    if (next.empty()) AskOften(1, "p", "honest"), next = std::to_string(last_id_);
    const auto granted = AcknowledgeAll();
    ASSERT_EQ(granted.size(), 1u);
    if (granted[0] == next) ++honest, next.clear();
    now_ += milliseconds(5);
    MustRelease({"p", "a", granted[0], static_cast<std::uint64_t>(lease) + 1});
  }
  EXPECT_GE(honest, 98);
}

class SmallTableTest : public LeaseTableLimitsTest {
 protected:
  SmallTableTest()
      : LeaseTableLimitsTest({.ttl = kTtl,
                              .waiting = {.of_client = 8, .of_party = 12, .in_all = 16},
                              .max_devices = 2,
                              .max_lost = 2}) {}
};

TEST_F(SmallTableTest, TheLargestClientsNewestRequestGivesWay) {
  AskOften(8, "p", "large");  // 1..8
  AskOften(4, "p", "small");
  AskOften(4, "q", "third");
  EXPECT_EQ(AskOften(1, "r", "newcomer"), 1);
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].id, "8");
  EXPECT_EQ(answers[0].answer.status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(Message(answers[0].answer.status()), HasSubstr("with fewer at a time"));
  EXPECT_EQ(table_.waiting(), 16u);
}

TEST_F(SmallTableTest, InAFullPartyTheLargestOfItsOwnGivesWay) {
  AskOften(8, "p", "large");
  EXPECT_EQ(AskOften(8, "p", "second"), 6) << "until both have six";
  EXPECT_EQ(AskOften(1, "q", "other"), 1);
  EXPECT_EQ(table_.waiting(), 13u);
}

TEST_F(SmallTableTest, EqualClientsDoNotDisplaceEachOther) {
  for (int client = 0; client < 16; ++client) {
    AskOften(1, "p" + std::to_string(client), "c");
  }
  EXPECT_EQ(AskOften(1, "late", "c"), 0);
  EXPECT_THAT(Message(refusal_), HasSubstr("the tracker has 16 requests waiting"));
  EXPECT_TRUE(Take<AnswerRequest>().empty());
}

TEST_F(SmallTableTest, ARequestWhoseOfferCameToNothingComesBackIntoAFullQueue) {
  const SessionId session = MustRegister(Hello("a"));
  AskOften(9, "p", "c");  // one is offered, eight wait
  table_.Disconnect(now_, session);
  EXPECT_EQ(table_.waiting(), 9u);
  EXPECT_EQ(AskOften(1, "p", "c"), 0);
}

TEST_F(SmallTableTest, SoManyDevicesAreRegistered) {
  MustRegister(Hello("a"));
  const SessionId b = MustRegister(Hello("b"));
  const Status third = table_.Register(now_, Hello("c")).status();
  EXPECT_EQ(third.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(Message(third), HasSubstr("the tracker has 2 devices"));
  MustRegister(Hello("a"));  // a reconnection needs no room
  table_.Disconnect(now_, b);
  MustRegister(Hello("c"));
  EXPECT_EQ(table_.registered(), 2u);
}

TEST_F(SmallTableTest, OfLostDevicesTheFirstIsForgotten) {
  for (const char* name : {"a", "b", "c"}) {
    now_ += seconds(1);
    table_.Disconnect(now_, MustRegister(Hello(name)));
  }
  ASSERT_EQ(table_.Devices().size(), 2u);
  EXPECT_EQ(table_.Devices()[0].hello.name, "b");
}

TEST_F(SmallTableTest, ALostDeviceWithALeaseIsNotForgotten) {
  const SessionId a = MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Disconnect(now_, a);
  for (const char* name : {"b", "c", "d"}) table_.Disconnect(now_, MustRegister(Hello(name)));
  EXPECT_TRUE(table_.Renew(now_, {"", "a", "1", grant.epoch}).ok());
}

TEST_F(SmallTableTest, WordsNameSomeHoldersAndCountTheRest) {
  LeaseTable table({.ttl = kTtl}, now_);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(table.Register(now_, Hello("d" + std::to_string(i))).ok());
    ASSERT_TRUE(table.Request(now_, AskAs(std::to_string(i), "p", "c" + std::to_string(i))).ok());
  }
  LeaseRequest request = AskAs("late", "p", "c");
  request.wait = milliseconds(0);
  ASSERT_TRUE(table.Request(now_, request).ok());
  const LeaseAction last = table.TakeActions().back();
  ASSERT_TRUE(std::holds_alternative<AnswerRequest>(last));
  const std::string words = Message(std::get<AnswerRequest>(last).answer.status());
  EXPECT_THAT(words, HasSubstr("100 registered"));
  EXPECT_THAT(words, HasSubstr("92 leased by others"));
  EXPECT_LT(words.size(), 400u);
}

// Ten thousand that expire at once, each answered in words, cost one look at the devices.
TEST_F(LeaseTableLimitsTest, ManyRequestsExpireTogether) {
  for (int i = 0; i < 2'000; ++i) {
    DeviceHello hello = Hello("d" + std::to_string(i));
    hello.target = "rasp4b";
    MustRegister(hello);
  }
  for (int client = 0; client < 16; ++client) {
    AskOften(256, "p" + std::to_string(client), "c");
  }
  Pass(std::chrono::hours(24));
  EXPECT_EQ(Take<AnswerRequest>().size(), 4096u);
  EXPECT_EQ(table_.waiting(), 0u);
}

}  // namespace
}  // namespace kiln
