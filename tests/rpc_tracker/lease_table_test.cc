#include "rpc_tracker/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/rpc_tracker/table_fixture.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using LeaseTableTest = TableFixture;

TEST_F(LeaseTableTest, AnswersOnlyAfterTheDeviceAcknowledgedTheEpoch) {
  const SessionId session = MustRegister(Hello("a"));
  MustRequest(Ask("1"));
  EXPECT_TRUE(Take<AnswerRequest>().empty());
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kOffered);
  const auto grants = Take<SendGrant>();
  ASSERT_EQ(grants.size(), 1u);
  table_.Acknowledge(now_, session, grants[0].lease.epoch + 1);
  table_.Acknowledge(now_, session + 1, grants[0].lease.epoch);
  EXPECT_TRUE(Take<AnswerRequest>().empty());
  table_.Acknowledge(now_, session, grants[0].lease.epoch);
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  ASSERT_TRUE(answers[0].answer.ok());
  EXPECT_EQ(answers[0].answer->device, "a");
  EXPECT_EQ(answers[0].answer->address, "127.0.0.1:1");
  EXPECT_EQ(answers[0].answer->epoch, 1u);
}

TEST_F(LeaseTableTest, ExpiredLeaseFreesItsDevice) {
  MustRegister(Hello("a"));
  const LeaseGrant first = MustLease("1");
  MustRequest(Ask("2"));
  Pass(kTtl - milliseconds(1));
  EXPECT_TRUE(Take<SendGrant>().empty());
  Pass(milliseconds(1));
  EXPECT_THAT(AcknowledgeAll(), ::testing::ElementsAre("2"));
  EXPECT_EQ(table_.Renew(now_, {"", "a", "1", first.epoch}).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(LeaseTableTest, HeartbeatsKeepALease) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  MustRequest(Ask("2", 0, seconds(3600)));
  for (int beat = 0; beat < 20; ++beat) {
    Pass(kTtl - milliseconds(1));
    ASSERT_TRUE(table_.Renew(now_, {"", "a", "1", grant.epoch}).ok());
  }
  EXPECT_TRUE(Take<SendGrant>().empty());
}

TEST_F(LeaseTableTest, EpochsGrowWithEveryGrant) {
  MustRegister(Hello("a"));
  std::uint64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    const LeaseGrant grant = MustLease(std::to_string(i));
    EXPECT_GT(grant.epoch, last);
    last = grant.epoch;
    MustRelease({"", "a", grant.id, grant.epoch});
  }
}

TEST_F(LeaseTableTest, EpochIsBeyondWhatTheDeviceHasSeen) {
  DeviceHello hello = Hello("a");
  hello.highest_epoch = 41;
  MustRegister(hello);
  EXPECT_EQ(MustLease("1").epoch, 42u);
}

TEST_F(LeaseTableTest, EpochIsBeyondOursWhenTheDeviceForgot) {
  const SessionId session = MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Disconnect(now_, session);
  MustRegister(Hello("a", "restarted"));
  EXPECT_EQ(MustLease("2").epoch, grant.epoch + 1);
}

TEST_F(LeaseTableTest, PriorityThenArrivalOrdersTheRequestsOfAClient) {
  const auto ask = [this](const std::string& id, int priority) {
    LeaseRequest request = Ask(id, priority);
    request.client = "one";
    MustRequest(request);
  };
  ask("low", 0);
  ask("late", 5);
  ask("later", 5);
  ask("high", 9);
  EXPECT_EQ(table_.waiting(), 4u);
  MustRegister(Hello("a"));
  std::vector<std::string> order;
  for (int i = 0; i < 4; ++i) {
    const auto granted = AcknowledgeAll();
    ASSERT_EQ(granted.size(), 1u);
    order.push_back(granted[0]);
    MustRelease({"", "a", granted[0], static_cast<std::uint64_t>(i) + 1});
  }
  EXPECT_THAT(order, ::testing::ElementsAre("high", "late", "later", "low"));
}

TEST_F(LeaseTableTest, SeveralDevicesOfOneTargetAreUsedAtOnce) {
  MustRegister(Hello("a"));
  MustRegister(Hello("b"));
  EXPECT_NE(MustLease("1").device, MustLease("2").device);
}

TEST_F(LeaseTableTest, ADeviceOfAnotherTargetIsNoUse) {
  DeviceHello hello = Hello("pi");
  hello.target = "rasp4b";
  MustRegister(hello);
  MustRequest(Ask("1", 0, seconds(2)));
  Pass(seconds(2));
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].answer.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Message(answers[0].answer.status()),
            "no device for avx512vnni within 2 s (0 registered; there are devices for rasp4b)");
}

TEST_F(LeaseTableTest, TheAnswerNamesWhoHoldsTheDevices) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  MustRequest(Ask("2", 0, seconds(3)));
  Pass(seconds(3));
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(Message(answers[0].answer.status()),
            "no device for avx512vnni within 3 s (1 registered, 1 leased by client-1)");
  EXPECT_EQ(table_.waiting(), 0u);
}

TEST_F(LeaseTableTest, NoWaitIsAnsweredAtOnce) {
  MustRequest(Ask("1", 0, milliseconds(0)));
  EXPECT_EQ(Take<AnswerRequest>().size(), 1u);
}

TEST_F(LeaseTableTest, SilentDeviceIsCutOffAndItsRequestKeepsItsPlace) {
  const SessionId session = MustRegister(Hello("a"));
  MustRequest(Ask("first"));
  MustRequest(Ask("second"));
  ASSERT_EQ(Take<SendGrant>().size(), 1u);  // and no acknowledgement
  Pass(kAck);
  const auto ended = Take<EndSession>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].session, session);
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kLost);
  MustRegister(Hello("a"));
  EXPECT_THAT(AcknowledgeAll(), ::testing::ElementsAre("first"));
}

TEST_F(LeaseTableTest, DeviceLostWhileOfferedGivesTheRequestToAnother) {
  const SessionId a = MustRegister(Hello("a"));
  MustRequest(Ask("1"));
  MustRegister(Hello("b"));
  table_.Disconnect(now_, a);
  EXPECT_THAT(AcknowledgeAll(), ::testing::ElementsAre("1"));
  EXPECT_EQ(StatusOf("b"), DeviceStatus::kLeased);
}

TEST_F(LeaseTableTest, LeaseSurvivesALostConnection) {
  const SessionId session = MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Disconnect(now_, session);
  Pass(seconds(5));
  EXPECT_TRUE(table_.Renew(now_, {"", "a", "1", grant.epoch}).ok());
  DeviceHello back = Hello("a");
  back.highest_epoch = grant.epoch;
  back.held = HeldLease{"1", "client-1", grant.epoch};
  MustRegister(back);
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kLeased);
  EXPECT_TRUE(table_.Renew(now_, {"", "a", "1", grant.epoch}).ok());
  EXPECT_TRUE(Take<SendRevoke>().empty());
}

TEST_F(LeaseTableTest, RestartedDeviceHasEndedItsLease) {
  const SessionId session = MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Disconnect(now_, session);
  MustRegister(Hello("a", "restarted"));
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
  EXPECT_EQ(table_.Renew(now_, {"", "a", "1", grant.epoch}).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(LeaseTableTest, LeaseThatExpiredWhileTheDeviceWasAwayIsRevokedWhenItReturns) {
  const SessionId session = MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Disconnect(now_, session);
  Pass(kTtl);
  Take<SendRevoke>();
  DeviceHello back = Hello("a");
  back.highest_epoch = grant.epoch;
  back.held = HeldLease{"1", "client-1", grant.epoch};
  const SessionId again = MustRegister(back);
  const auto revokes = Take<SendRevoke>();
  ASSERT_EQ(revokes.size(), 1u);
  EXPECT_EQ(revokes[0].session, again);
  EXPECT_EQ(revokes[0].epoch, grant.epoch);
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
}

TEST_F(LeaseTableTest, AfterATrackerRestartTheDeviceBringsItsLeaseBack) {
  DeviceHello back = Hello("a");
  back.highest_epoch = 7;
  back.held = HeldLease{"1", "client-1", 7};
  EXPECT_EQ(table_.Renew(now_, {"", "a", "1", 7}).status().code(), StatusCode::kUnavailable);
  MustRegister(back);
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kLeased);
  MustRequest(Ask("2"));
  EXPECT_TRUE(Take<SendGrant>().empty());
  EXPECT_TRUE(table_.Renew(now_, {"", "a", "1", 7}).ok());
  Pass(kTtl);  // and then the holder dies
  const auto grants = Take<SendGrant>();
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].lease.epoch, 8u);
}

TEST_F(LeaseTableTest, UnknownLeaseIsOverOnceTheTableIsOlderThanATtl) {
  Pass(kTtl);
  EXPECT_EQ(table_.Renew(now_, {"", "a", "1", 7}).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(LeaseTableTest, ReleaseRevokesAndServesTheNext) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  MustRequest(Ask("2"));
  MustRelease({"", "a", "1", grant.epoch + 1});  // not this lease
  EXPECT_TRUE(Take<SendGrant>().empty());
  MustRelease({"", "a", "1", grant.epoch});
  EXPECT_EQ(Take<SendRevoke>().size(), 1u);
  EXPECT_THAT(AcknowledgeAll(), ::testing::ElementsAre("2"));
  MustRelease({"", "a", "1", grant.epoch});  // late and without effect
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kLeased);
}

TEST_F(LeaseTableTest, CancelledRequestLeavesTheQueue) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  MustRequest(Ask("2"));
  MustCancel("2");
  MustRelease({"", "a", "1", grant.epoch});
  EXPECT_TRUE(Take<SendGrant>().empty());
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
}

// The grant crossed the cancellation: the client never heard of it.
TEST_F(LeaseTableTest, CancelledRequestThatWasGrantedFreesTheDevice) {
  MustRegister(Hello("a"));
  MustLease("1");
  MustRequest(Ask("2"));
  MustCancel("1");
  EXPECT_EQ(Take<SendRevoke>().size(), 1u);
  EXPECT_THAT(AcknowledgeAll(), ::testing::ElementsAre("2"));
}

TEST_F(LeaseTableTest, RequesterThatGoesBeforeTheAcknowledgementFreesTheDevice) {
  const SessionId session = MustRegister(Hello("a"));
  MustRequest(Ask("1"));
  const auto grants = Take<SendGrant>();
  ASSERT_EQ(grants.size(), 1u);
  MustCancel("1");
  table_.Acknowledge(now_, session, grants[0].lease.epoch);
  EXPECT_TRUE(Take<AnswerRequest>().empty());
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
}

TEST_F(LeaseTableTest, RepeatedRequestIsAnsweredWithTheLeaseThatItHas) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  MustRequest(Ask("1"));
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  ASSERT_TRUE(answers[0].answer.ok());
  EXPECT_EQ(answers[0].answer->epoch, grant.epoch);
}

TEST_F(LeaseTableTest, TwoLivingDevicesOfOneNameAreRefused) {
  const SessionId session = MustRegister(Hello("a", "one"));
  EXPECT_EQ(table_.Register(now_, Hello("a", "two")).status().code(), StatusCode::kAlreadyExists);
  table_.Disconnect(now_, session);
  EXPECT_TRUE(table_.Register(now_, Hello("a", "two")).ok());
}

TEST_F(LeaseTableTest, SameInstanceReplacesItsBrokenConnection) {
  const SessionId old = MustRegister(Hello("a"));
  const SessionId fresh = MustRegister(Hello("a"));
  const auto ended = Take<EndSession>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].session, old);
  table_.Disconnect(now_, old);  // the old stream's end is heard of late
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
  EXPECT_NE(fresh, old);
}

TEST_F(LeaseTableTest, LostDeviceIsForgottenInTheEnd) {
  table_.Disconnect(now_, MustRegister(Hello("a")));
  ASSERT_TRUE(table_.NextTick().has_value());
  now_ = *table_.NextTick();
  table_.Tick(now_);
  EXPECT_TRUE(table_.Devices().empty());
  EXPECT_FALSE(table_.NextTick().has_value());
}

TEST_F(LeaseTableTest, ARequestGetsADeviceOfTheKindOfTimesThatItAsksFor) {
  DeviceHello emulated = Hello("emulated");
  emulated.time_kind = "emulated";
  MustRegister(emulated);
  MustRequest(Ask("measures"));
  EXPECT_TRUE(Take<SendGrant>().empty()) << "an emulated device is no substitute";
  LeaseRequest emulates = Ask("emulates");
  emulates.time_kind = "emulated";
  MustRequest(emulates);
  const auto grants = Take<SendGrant>();
  ASSERT_EQ(grants.size(), 1u);
  table_.Acknowledge(now_, grants[0].session, grants[0].lease.epoch);
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].id, "emulates");
  EXPECT_EQ(answers[0].answer->time_kind, "emulated");
  MustRegister(Hello("real"));
  EXPECT_THAT(AcknowledgeAll(), testing::ElementsAre("measures"));
}

TEST_F(LeaseTableTest, ErrorSaysThatThereAreOnlyEmulatedDevices) {
  DeviceHello emulated = Hello("emulated");
  emulated.time_kind = "emulated";
  MustRegister(emulated);
  MustRequest(Ask("a", 0, milliseconds(0)));
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_THAT(Message(answers[0].answer.status()),
              testing::HasSubstr("there are devices for emulated avx512vnni"));
}

}  // namespace
}  // namespace kiln
