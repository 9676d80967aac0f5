#include "rpc_tracker/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kTtl{10'000};
constexpr milliseconds kAck{5'000};

DeviceHello Hello(const std::string& name, const std::string& instance = "first") {
  DeviceHello hello;
  hello.name = name;
  hello.instance = instance;
  hello.target = "avx512vnni";
  hello.address = "127.0.0.1:1";
  return hello;
}

LeaseRequest Ask(const std::string& id, int priority = 0, milliseconds wait = seconds(60)) {
  LeaseRequest request;
  request.id = id;
  request.client = "client-" + id;
  request.target = "avx512vnni";
  request.priority = priority;
  request.wait = wait;
  return request;
}

// The table together with a clock that the test moves.
class LeaseTableTest : public ::testing::Test {
 protected:
  template <typename T>
  std::vector<T> Take() {
    for (LeaseAction& action : table_.TakeActions()) {
      std::visit([this](auto& known) { Sort(std::move(known)); }, action);
    }
    return std::exchange(std::get<std::vector<T>>(taken_), {});
  }

  void Pass(milliseconds time) {
    now_ += time;
    table_.Tick(now_);
  }

  // Acknowledges every grant that has been sent, and returns the ids that were answered, in order.
  std::vector<std::string> AcknowledgeAll() {
    for (const SendGrant& grant : Take<SendGrant>()) {
      table_.Acknowledge(now_, grant.session, grant.lease.epoch);
    }
    std::vector<std::string> granted;
    for (const AnswerRequest& answer : Take<AnswerRequest>()) {
      if (answer.answer.ok()) granted.push_back(answer.id);
    }
    return granted;
  }

  LeaseGrant MustLease(const std::string& id) {
    table_.Request(now_, Ask(id));
    for (const SendGrant& grant : Take<SendGrant>()) {
      table_.Acknowledge(now_, grant.session, grant.lease.epoch);
    }
    const auto answers = Take<AnswerRequest>();
    EXPECT_EQ(answers.size(), 1u);
    if (answers.size() != 1 || !answers[0].answer.ok()) return {};
    EXPECT_EQ(answers[0].id, id);
    return *answers[0].answer;
  }

  SessionId MustRegister(DeviceHello hello) {
    const auto session = table_.Register(now_, std::move(hello));
    EXPECT_TRUE(session.ok()) << session.status();
    return session.value_or(0);
  }

  DeviceStatus StatusOf(const std::string& name) {
    for (const DeviceView& view : table_.Devices()) {
      if (view.hello.name == name) return view.status;
    }
    ADD_FAILURE() << "no device " << name;
    return DeviceStatus::kLost;
  }

  SteadyTime now_{};
  LeaseTable table_{{.ttl = kTtl, .ack_timeout = kAck}, now_};

 private:
  template <typename T>
  void Sort(T action) {
    std::get<std::vector<T>>(taken_).push_back(std::move(action));
  }
  std::tuple<std::vector<SendGrant>, std::vector<SendRevoke>, std::vector<EndSession>,
             std::vector<AnswerRequest>>
      taken_;
};

TEST_F(LeaseTableTest, AnswersOnlyAfterTheDeviceAcknowledgedTheEpoch) {
  const SessionId session = MustRegister(Hello("a"));
  table_.Request(now_, Ask("1"));
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
  table_.Request(now_, Ask("2"));
  Pass(kTtl - milliseconds(1));
  EXPECT_TRUE(Take<SendGrant>().empty());
  Pass(milliseconds(1));
  EXPECT_THAT(AcknowledgeAll(), ::testing::ElementsAre("2"));
  EXPECT_EQ(table_.Renew(now_, "a", "1", first.epoch).code(), StatusCode::kFailedPrecondition);
}

TEST_F(LeaseTableTest, HeartbeatsKeepALease) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Request(now_, Ask("2", 0, seconds(3600)));
  for (int beat = 0; beat < 20; ++beat) {
    Pass(kTtl - milliseconds(1));
    ASSERT_TRUE(table_.Renew(now_, "a", "1", grant.epoch).ok());
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
    table_.Release(now_, "a", grant.id, grant.epoch);
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

TEST_F(LeaseTableTest, PriorityThenArrivalOrdersTheQueue) {
  table_.Request(now_, Ask("low", 0));
  table_.Request(now_, Ask("late", 5));
  table_.Request(now_, Ask("later", 5));
  table_.Request(now_, Ask("high", 9));
  EXPECT_EQ(table_.waiting(), 4u);
  MustRegister(Hello("a"));
  std::vector<std::string> order;
  for (int i = 0; i < 4; ++i) {
    const auto granted = AcknowledgeAll();
    ASSERT_EQ(granted.size(), 1u);
    order.push_back(granted[0]);
    table_.Release(now_, "a", granted[0], static_cast<std::uint64_t>(i) + 1);
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
  table_.Request(now_, Ask("1", 0, seconds(2)));
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
  table_.Request(now_, Ask("2", 0, seconds(3)));
  Pass(seconds(3));
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(Message(answers[0].answer.status()),
            "no device for avx512vnni within 3 s (1 registered, 1 leased by client-1)");
  EXPECT_EQ(table_.waiting(), 0u);
}

TEST_F(LeaseTableTest, NoWaitIsAnsweredAtOnce) {
  table_.Request(now_, Ask("1", 0, milliseconds(0)));
  EXPECT_EQ(Take<AnswerRequest>().size(), 1u);
}

TEST_F(LeaseTableTest, SilentDeviceIsCutOffAndItsRequestKeepsItsPlace) {
  const SessionId session = MustRegister(Hello("a"));
  table_.Request(now_, Ask("first"));
  table_.Request(now_, Ask("second"));
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
  table_.Request(now_, Ask("1"));
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
  EXPECT_TRUE(table_.Renew(now_, "a", "1", grant.epoch).ok());
  DeviceHello back = Hello("a");
  back.highest_epoch = grant.epoch;
  back.held = HeldLease{"1", "client-1", grant.epoch};
  MustRegister(back);
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kLeased);
  EXPECT_TRUE(table_.Renew(now_, "a", "1", grant.epoch).ok());
  EXPECT_TRUE(Take<SendRevoke>().empty());
}

TEST_F(LeaseTableTest, RestartedDeviceHasEndedItsLease) {
  const SessionId session = MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Disconnect(now_, session);
  MustRegister(Hello("a", "restarted"));
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
  EXPECT_EQ(table_.Renew(now_, "a", "1", grant.epoch).code(), StatusCode::kFailedPrecondition);
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
  EXPECT_EQ(table_.Renew(now_, "a", "1", 7).code(), StatusCode::kUnavailable);
  MustRegister(back);
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kLeased);
  table_.Request(now_, Ask("2"));
  EXPECT_TRUE(Take<SendGrant>().empty());
  EXPECT_TRUE(table_.Renew(now_, "a", "1", 7).ok());
  Pass(kTtl);  // and then the holder dies
  const auto grants = Take<SendGrant>();
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].lease.epoch, 8u);
}

TEST_F(LeaseTableTest, UnknownLeaseIsOverOnceTheTableIsOlderThanATtl) {
  Pass(kTtl);
  EXPECT_EQ(table_.Renew(now_, "a", "1", 7).code(), StatusCode::kFailedPrecondition);
}

TEST_F(LeaseTableTest, ReleaseRevokesAndServesTheNext) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Request(now_, Ask("2"));
  table_.Release(now_, "a", "1", grant.epoch + 1);  // not this lease
  EXPECT_TRUE(Take<SendGrant>().empty());
  table_.Release(now_, "a", "1", grant.epoch);
  EXPECT_EQ(Take<SendRevoke>().size(), 1u);
  EXPECT_THAT(AcknowledgeAll(), ::testing::ElementsAre("2"));
  table_.Release(now_, "a", "1", grant.epoch);  // late and without effect
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kLeased);
}

TEST_F(LeaseTableTest, CancelledRequestLeavesTheQueue) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Request(now_, Ask("2"));
  table_.Cancel(now_, "2");
  table_.Release(now_, "a", "1", grant.epoch);
  EXPECT_TRUE(Take<SendGrant>().empty());
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
}

// The grant crossed the cancellation: the client never heard of it.
TEST_F(LeaseTableTest, CancelledRequestThatWasGrantedFreesTheDevice) {
  MustRegister(Hello("a"));
  MustLease("1");
  table_.Request(now_, Ask("2"));
  table_.Cancel(now_, "1");
  EXPECT_EQ(Take<SendRevoke>().size(), 1u);
  EXPECT_THAT(AcknowledgeAll(), ::testing::ElementsAre("2"));
}

TEST_F(LeaseTableTest, RequesterThatGoesBeforeTheAcknowledgementFreesTheDevice) {
  const SessionId session = MustRegister(Hello("a"));
  table_.Request(now_, Ask("1"));
  const auto grants = Take<SendGrant>();
  ASSERT_EQ(grants.size(), 1u);
  table_.Cancel(now_, "1");
  table_.Acknowledge(now_, session, grants[0].lease.epoch);
  EXPECT_TRUE(Take<AnswerRequest>().empty());
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
}

TEST_F(LeaseTableTest, RepeatedRequestIsAnsweredWithTheLeaseThatItHas) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  table_.Request(now_, Ask("1"));
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
  table_.Request(now_, Ask("measures"));
  EXPECT_TRUE(Take<SendGrant>().empty()) << "an emulated device is no substitute";
  LeaseRequest emulates = Ask("emulates");
  emulates.time_kind = "emulated";
  table_.Request(now_, emulates);
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
  table_.Request(now_, Ask("a", 0, milliseconds(0)));
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_THAT(Message(answers[0].answer.status()),
              testing::HasSubstr("there are devices for emulated avx512vnni"));
}

}  // namespace
}  // namespace kiln
