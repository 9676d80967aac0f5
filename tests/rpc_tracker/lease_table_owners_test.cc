// Whose a name, a lease and an epoch is.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/rpc_tracker/table_fixture.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

using LeaseTableOwnersTest = TableFixture;

DeviceHello Proven(const std::string& name, const std::string& owner,
                   const std::string& instance = "first") {
  DeviceHello hello = Hello(name, instance);
  hello.owner = owner;
  hello.authenticated = true;
  return hello;
}

DeviceHello SeenAt(const std::string& name, const std::string& host,
                   const std::string& instance = "first") {
  DeviceHello hello = Hello(name, instance);
  hello.owner = host;
  return hello;
}

TEST_F(LeaseTableOwnersTest, ALostDevicesNameIsItsOwners) {
  table_.Disconnect(now_, MustRegister(SeenAt("a", "10.0.0.1")));
  const Status stranger = table_.Register(now_, SeenAt("a", "10.0.0.2", "thief")).status();
  EXPECT_EQ(stranger.code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(Message(stranger), HasSubstr("belongs to the device at 10.0.0.1"));
  EXPECT_EQ(table_.Register(now_, Proven("a", "a", "thief")).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_TRUE(table_.Register(now_, SeenAt("a", "10.0.0.1", "restarted")).ok());
}

TEST_F(LeaseTableOwnersTest, AForgottenNameIsFreeAgain) {
  table_.Disconnect(now_, MustRegister(SeenAt("a", "10.0.0.1")));
  Pass(std::chrono::hours(1));
  EXPECT_TRUE(table_.Register(now_, SeenAt("a", "10.0.0.2", "other")).ok());
}

TEST_F(LeaseTableOwnersTest, AProgramThatMovedIsItselfByItsInstance) {
  table_.Disconnect(now_, MustRegister(SeenAt("a", "10.0.0.1", "phone")));
  EXPECT_TRUE(table_.Register(now_, SeenAt("a", "10.0.0.9", "phone")).ok());
}

TEST_F(LeaseTableOwnersTest, ANewInstanceWithTheSameCredentialReplacesTheOld) {
  const SessionId old = MustRegister(Proven("a", "a"));
  const LeaseGrant grant = MustLease("1");
  Take<SendRevoke>();
  const SessionId fresh = MustRegister(Proven("a", "a", "rebooted"));
  const auto ended = Take<EndSession>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].session, old);
  EXPECT_EQ(ended[0].why.code(), StatusCode::kAborted);
  EXPECT_THAT(Message(ended[0].why), HasSubstr("with this device's certificate has registered"));
  EXPECT_EQ(table_.Renew(now_, {"", "a", "1", grant.epoch}).status().code(),
            StatusCode::kFailedPrecondition);
  table_.Disconnect(now_, old);  // heard of late
  table_.Acknowledge(now_, old, grant.epoch);
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
  EXPECT_EQ(MustLease("2").epoch, grant.epoch + 1);
  EXPECT_NE(fresh, old);
}

TEST_F(LeaseTableOwnersTest, AReplacedInstanceThatDidNotHearOfItIsToldWhenItComesBack) {
  MustRegister(Proven("a", "a", "old"));
  const SessionId fresh = MustRegister(Proven("a", "a", "rebooted"));
  const Status back = table_.Register(now_, Proven("a", "a", "old")).status();
  EXPECT_EQ(back.code(), StatusCode::kAborted);
  EXPECT_THAT(Message(back), HasSubstr("with this device's certificate has registered as a"));
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
  MustLease("1");
  table_.Disconnect(now_, fresh);
  EXPECT_EQ(table_.Register(now_, Proven("a", "a", "old")).status().code(), StatusCode::kAborted)
      << "it stays away until it is restarted";
  MustRegister(Proven("a", "a", "rebooted"));
  MustRegister(Proven("a", "a", "restarted"));
}

TEST_F(LeaseTableOwnersTest, AnInstanceWhoseLossWasNoticedBeforeItWasReplacedIsToldToo) {
  table_.Disconnect(now_, MustRegister(Proven("a", "a", "old")));
  MustRegister(Proven("a", "a", "rebooted"));
  EXPECT_EQ(table_.Register(now_, Proven("a", "a", "old")).status().code(), StatusCode::kAborted);
  EXPECT_TRUE(Take<EndSession>().empty()) << "the one that is there stays";
}

TEST_F(LeaseTableOwnersTest, ReplacedInstancesAreRememberedInBoundedMemory) {
  for (int i = 0; i < 100; ++i) MustRegister(Proven("a", "a", std::to_string(i)));
  EXPECT_EQ(table_.Register(now_, Proven("a", "a", "98")).status().code(), StatusCode::kAborted);
  EXPECT_TRUE(table_.Register(now_, Proven("a", "a", "0")).ok());
}

TEST_F(LeaseTableOwnersTest, WithoutACredentialAnInstanceIsNoProofAndMayComeBack) {
  table_.Disconnect(now_, MustRegister(SeenAt("a", "10.0.0.1", "old")));
  table_.Disconnect(now_, MustRegister(SeenAt("a", "10.0.0.1", "new")));
  EXPECT_TRUE(table_.Register(now_, SeenAt("a", "10.0.0.1", "old")).ok());
}

TEST_F(LeaseTableOwnersTest, AReplacementThatHoldsTheLeaseGoesOnWithIt) {
  MustRegister(Proven("a", "a"));
  const LeaseGrant grant = MustLease("1");
  DeviceHello hello = Proven("a", "a", "handed over");
  hello.highest_epoch = grant.epoch;
  hello.held = HeldLease{"1", "client-1", grant.epoch, ""};
  MustRegister(hello);
  EXPECT_TRUE(table_.Renew(now_, {"", "a", "1", grant.epoch}).ok());
}

TEST_F(LeaseTableOwnersTest, AnotherCredentialIsRefusedTheNameOfALivingDevice) {
  MustRegister(Proven("a", "a"));
  EXPECT_EQ(table_.Register(now_, Proven("a", "b", "thief")).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(table_.Register(now_, SeenAt("a", "a", "thief")).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(table_.Register(now_, SeenAt("a", "a")).status().code(), StatusCode::kPermissionDenied)
      << "in plaintext an instance is no proof against a credential";
  EXPECT_TRUE(Take<EndSession>().empty());
}

TEST_F(LeaseTableOwnersTest, ARefusedTwinNudgesTheConnectionThatMayBeDead) {
  const SessionId session = MustRegister(SeenAt("a", "10.0.0.1", "one"));
  const LeaseGrant grant = MustLease("1");
  const Status twin = table_.Register(now_, SeenAt("a", "10.0.0.1", "two")).status();
  EXPECT_EQ(twin.code(), StatusCode::kAlreadyExists);
  const auto revokes = Take<SendRevoke>();
  ASSERT_EQ(revokes.size(), 1u);
  EXPECT_EQ(revokes[0].session, session);
  EXPECT_EQ(revokes[0].epoch, 0u);
  EXPECT_TRUE(table_.Renew(now_, {"", "a", "1", grant.epoch}).ok());
}

TEST_F(LeaseTableOwnersTest, OnlyItsPartyUsesALease) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease(AskAs("1", "ann", "ann@box:1"));
  const LeaseClaim stranger{"eve", "a", "1", grant.epoch};
  EXPECT_EQ(table_.Renew(now_, stranger).status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(table_.Release(now_, stranger).code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(table_.Cancel(now_, "1", "eve").code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(table_.Request(now_, AskAs("1", "eve", "ann@box:1")).code(),
            StatusCode::kPermissionDenied);
  EXPECT_TRUE(table_.TakeActions().empty()) << "nobody was told anything";
  EXPECT_TRUE(table_.Renew(now_, {"ann", "a", "1", grant.epoch}).ok());
  MustRelease({"ann", "a", "1", grant.epoch});
  EXPECT_EQ(StatusOf("a"), DeviceStatus::kFree);
}

TEST_F(LeaseTableOwnersTest, AStrangersCallsDoNotDisturbARequestThatWaitsOrIsOffered) {
  MustRequest(AskAs("1", "ann", "ann@box:1"));
  LeaseRequest hostile = AskAs("1", "eve", "ann@box:1");
  hostile.wait = milliseconds(0);
  const auto disturb = [&] {
    EXPECT_EQ(table_.Request(now_, hostile).code(), StatusCode::kPermissionDenied);
    EXPECT_EQ(table_.Cancel(now_, "1", "eve").code(), StatusCode::kPermissionDenied);
    table_.Tick(now_);
  };
  disturb();
  EXPECT_EQ(table_.waiting(), 1u);
  const SessionId session = MustRegister(Hello("a"));
  const auto grants = Take<SendGrant>();
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].lease.owner, "ann");
  disturb();
  table_.Acknowledge(now_, session, grants[0].lease.epoch);
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].answer.ok());
}

TEST_F(LeaseTableOwnersTest, ALeasesOwnerSurvivesATrackersRestart) {
  DeviceHello hello = Hello("a");
  hello.highest_epoch = 7;
  hello.held = HeldLease{"1", "ann@box:1", 7, "ann"};
  MustRegister(hello);
  EXPECT_EQ(table_.Renew(now_, {"eve", "a", "1", 7}).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_TRUE(table_.Renew(now_, {"ann", "a", "1", 7}).ok());
}

TEST_F(LeaseTableOwnersTest, ALeaseWithoutAnOwnerIsAnybodysWhoKnowsIt) {
  DeviceHello hello = Hello("a");
  hello.highest_epoch = 7;
  hello.held = HeldLease{"1", "ann@box:1", 7, ""};
  MustRegister(hello);
  EXPECT_TRUE(table_.Renew(now_, {"10.0.0.1", "a", "1", 7}).ok());
}

TEST_F(LeaseTableOwnersTest, ARequestThatWaitsForALeaseThatComesBackIsAnsweredWithIt) {
  MustRequest(AskAs("1", "ann", "ann@box:1"));
  DeviceHello hello = Hello("a");
  hello.highest_epoch = 7;
  hello.held = HeldLease{"1", "ann@box:1", 7, "ann"};
  MustRegister(hello);
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  ASSERT_TRUE(answers[0].answer.ok());
  EXPECT_EQ(answers[0].answer->epoch, 7u);
  EXPECT_EQ(table_.waiting(), 0u);
}

TEST_F(LeaseTableOwnersTest, ADeviceCannotClaimALeaseThatIsElsewhere) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease(AskAs("1", "ann", "ann@box:1"));
  MustRequest(AskAs("2", "ann", "ann@box:1"));
  for (const char* id : {"1", "2"}) {
    DeviceHello liar = Hello("liar-" + std::string(id));
    liar.target = "rasp4b";
    liar.highest_epoch = 99;
    liar.held = HeldLease{id, "ann@box:1", 99, "eve"};
    MustRegister(liar);
    const auto revokes = Take<SendRevoke>();
    ASSERT_EQ(revokes.size(), 1u);
    EXPECT_EQ(revokes[0].epoch, 99u);
    EXPECT_EQ(StatusOf(liar.name), DeviceStatus::kFree);
  }
  EXPECT_TRUE(table_.Renew(now_, {"ann", "a", "1", grant.epoch}).ok());
  EXPECT_EQ(table_.waiting(), 1u);
}

TEST_F(LeaseTableOwnersTest, HelloWithEpochsThatCouldWrapIsRefused) {
  for (const std::uint64_t epoch : {kEpochLimit, ~std::uint64_t{0}}) {
    DeviceHello hello = Hello("a");
    hello.highest_epoch = epoch;
    EXPECT_EQ(table_.Register(now_, hello).status().code(), StatusCode::kInvalidArgument);
    hello.held = HeldLease{"1", "c", epoch, ""};
    EXPECT_EQ(table_.Register(now_, hello).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(table_.Devices().empty());
}

TEST_F(LeaseTableOwnersTest, HelloThatHoldsMoreThanItHasSeenIsRefused) {
  DeviceHello hello = Hello("a");
  hello.highest_epoch = 4;
  hello.held = HeldLease{"1", "c", 5, ""};
  const Status status = table_.Register(now_, hello).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("serves epoch 5 but has seen none above 4"));
}

TEST_F(LeaseTableOwnersTest, ADeviceWithoutEpochsLeftIsGrantedNone) {
  DeviceHello hello = Hello("a");
  hello.highest_epoch = kEpochLimit - 2;
  MustRegister(hello);
  const LeaseGrant grant = MustLease("1");
  EXPECT_EQ(grant.epoch, kEpochLimit - 1);
  MustRelease({"", "a", "1", grant.epoch});
  Take<SendRevoke>();
  MustRequest(Ask("2", 0, seconds(1)));
  EXPECT_TRUE(Take<SendGrant>().empty());
  Pass(seconds(1));
  EXPECT_EQ(Take<AnswerRequest>().size(), 1u);
}

TEST_F(LeaseTableOwnersTest, EpochsDoNotFallThoughTableAndDeviceHaveForgotten) {
  const SessionId session = MustRegister(Hello("a"));
  std::uint64_t epoch = 0;
  for (const char* id : {"1", "2", "3"}) {
    epoch = MustLease(id).epoch;
    MustRelease({"", "a", id, epoch});
  }
  table_.Disconnect(now_, session);
  Pass(std::chrono::hours(1));
  ASSERT_TRUE(table_.Devices().empty());
  MustRegister(Hello("a", "restarted"));
  EXPECT_GT(MustLease("4").epoch, epoch);
}

TEST_F(LeaseTableOwnersTest, ALiarsEpochsAreItsOwnAffair) {
  DeviceHello liar = Hello("liar");
  liar.highest_epoch = kEpochLimit - 1;
  table_.Disconnect(now_, MustRegister(liar));
  Pass(std::chrono::hours(1));
  MustRegister(Hello("a"));
  EXPECT_EQ(MustLease("1").epoch, 1u);
}

TEST_F(LeaseTableOwnersTest, AnAdoptedLeaseIsRevokedByItsOwnEpoch) {
  DeviceHello hello = Hello("a");
  hello.highest_epoch = 9;
  hello.held = HeldLease{"1", "c", 7, ""};
  MustRegister(hello);
  Pass(kTtl);
  const auto revokes = Take<SendRevoke>();
  ASSERT_EQ(revokes.size(), 1u);
  EXPECT_EQ(revokes[0].epoch, 7u);
}

class LaterStartTest : public TableFixture {
 protected:
  LaterStartTest() : TableFixture({.ttl = kTtl, .first_epoch = std::uint64_t{3} << 40}) {}
};

TEST_F(LaterStartTest, EpochsGrowOverRestartsThoughTheDeviceForgot) {
  MustRegister(Hello("a"));
  EXPECT_EQ(MustLease("1").epoch, (std::uint64_t{3} << 40) + 1);
}

}  // namespace
}  // namespace kiln
