// Devices that fail: what counts as a failure, who is offered when, and what a restart keeps.

#include <gmock/gmock.h>

#include <chrono>
#include <map>
#include <set>
#include <string>

#include "base/rng.h"
#include "rpc_tracker/event_check.h"
#include "tests/rpc_tracker/table_fixture.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr milliseconds kQuarantine{30'000}, kLongest{600'000};

class LeaseTableQuarantineTest : public TableFixture {
 protected:
  LeaseTableQuarantineTest()
      : TableFixture({.ttl = kTtl, .ack_timeout = kAck, .record_events = true}) {}

  DeviceView View(const std::string& name) {
    for (const DeviceView& view : table_.Devices()) {
      if (view.hello.name == name) return view;
    }
    ADD_FAILURE() << "no device " << name;
    return {};
  }
  int FailuresOf(const std::string& name) { return View(name).record.failures; }

  LeaseClaim ClaimOf(const LeaseGrant& grant) { return {"", grant.device, grant.id, grant.epoch}; }
  std::string NewId() { return "lease-" + std::to_string(++leases_); }

  // A lease of whichever device is next; its name.
  std::string Use(const LeaseReport& report) {
    const LeaseGrant grant = MustLease(NewId());
    EXPECT_TRUE(table_.Release(now_, ClaimOf(grant), report).ok());
    return grant.device;
  }
  void Fail(const std::string& reason = "nothing answers") { Use({reason, false}); }
  void Serve() { Use({"", true}); }

  int leases_ = 0;
};

TEST_F(LeaseTableQuarantineTest, ThreeFailuresInARowAreTooMany) {
  MustRegister(Hello("pi4"));
  Fail("first");
  Fail("second");
  EXPECT_EQ(StatusOf("pi4"), DeviceStatus::kFree);
  EXPECT_TRUE(Take<TellQuarantine>().empty());
  Fail("third");
  EXPECT_EQ(StatusOf("pi4"), DeviceStatus::kQuarantined);
  const DeviceRecord record = View("pi4").record;
  EXPECT_EQ(record.failures, 3);
  EXPECT_EQ(record.reason, "third");
  EXPECT_EQ(record.until, now_ + kQuarantine);
  const auto told = Take<TellQuarantine>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].device, "pi4");
  EXPECT_EQ(told[0].record.reason, "third");
}

TEST_F(LeaseTableQuarantineTest, GoodLeaseForgetsFailures) {
  MustRegister(Hello("pi4"));
  for (int i = 0; i < 5; ++i) {
    Fail();
    Fail();
    Serve();
    EXPECT_EQ(FailuresOf("pi4"), 0);
  }
  EXPECT_TRUE(table_.records().empty());
}

TEST_F(LeaseTableQuarantineTest, LeaseInWhichNothingRanSaysNothing) {
  MustRegister(Hello("pi4"));
  Fail();
  Fail();
  Use({});
  EXPECT_EQ(FailuresOf("pi4"), 2);
  MustLease("never used");
  Pass(kTtl);
  EXPECT_EQ(StatusOf("pi4"), DeviceStatus::kFree) << "its holder was not heard of";
  EXPECT_EQ(FailuresOf("pi4"), 2);
  MustLease("its client goes");
  MustCancel("its client goes");
  EXPECT_EQ(FailuresOf("pi4"), 2);
}

TEST_F(LeaseTableQuarantineTest, RequestsWaitForADeviceInQuarantine) {
  MustRegister(Hello("pi4"));
  for (int i = 0; i < 3; ++i) Fail("nothing answers at 10.0.0.4:9191");
  MustRequest(Ask("waits"));
  MustRequest(Ask("impatient", 0, milliseconds(0)));
  const auto answers = Take<AnswerRequest>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].id, "impatient");
  EXPECT_THAT(Message(answers[0].answer.status()),
              HasSubstr("1 registered, 1 quarantined: pi4: nothing answers at 10.0.0.4:9191"));
  Pass(kQuarantine - milliseconds(1));
  EXPECT_TRUE(Take<SendGrant>().empty());
  EXPECT_EQ(table_.NextTick(), now_ + milliseconds(1));
  Pass(milliseconds(1));
  EXPECT_EQ(Take<SendGrant>().size(), 1u);
}

TEST_F(LeaseTableQuarantineTest, OnProbationOneFailureIsEnoughAndTheTimeDoubles) {
  MustRegister(Hello("pi4"));
  Fail();
  Fail();
  milliseconds expected = kQuarantine;
  for (int round = 0; round < 9; ++round) {
    Fail();
    EXPECT_EQ(View("pi4").record.until, now_ + expected) << round;
    Pass(expected);
    EXPECT_EQ(StatusOf("pi4"), DeviceStatus::kFree);
    EXPECT_FALSE(View("pi4").record.until);
    expected = std::min(2 * expected, kLongest);
  }
  EXPECT_EQ(expected, kLongest);
  Serve();
  EXPECT_EQ(FailuresOf("pi4"), 0);
  Fail();
  EXPECT_EQ(StatusOf("pi4"), DeviceStatus::kFree) << "from the beginning";
}

TEST_F(LeaseTableQuarantineTest, LostConnectionDuringALeaseIsOneFailure) {
  MustRegister(Hello("pi4"));
  const LeaseGrant grant = MustLease("1");
  DeviceHello back = Hello("pi4");
  back.held = HeldLease{grant.id, "client-1", grant.epoch, ""};
  back.highest_epoch = grant.epoch;
  for (int i = 0; i < 4; ++i) table_.Disconnect(now_, MustRegister(back));
  EXPECT_EQ(FailuresOf("pi4"), 1) << "a lease counts once";
  EXPECT_EQ(View("pi4").record.reason, "its connection was lost during a lease");
  EXPECT_TRUE(table_.Release(now_, ClaimOf(grant), {"the stream broke", false}).ok());
  EXPECT_EQ(FailuresOf("pi4"), 1);
  EXPECT_EQ(View("pi4").record.reason, "the stream broke");
  MustRegister(Hello("pi4"));
  EXPECT_EQ(FailuresOf("pi4"), 1) << "connecting again is no excuse";
}

TEST_F(LeaseTableQuarantineTest, LostConnectionWithoutALeaseIsNone) {
  for (int i = 0; i < 5; ++i) table_.Disconnect(now_, MustRegister(Hello("pi4")));
  EXPECT_EQ(FailuresOf("pi4"), 0);
}

TEST_F(LeaseTableQuarantineTest, SilenceAfterAnOfferIsAFailure) {
  for (int i = 0; i < 3; ++i) {
    MustRegister(Hello("mute"));
    MustRequest(Ask(NewId(), 0, kAck - milliseconds(1)));
    EXPECT_EQ(Take<SendGrant>().size(), 1u);
    Pass(kAck);
  }
  MustRegister(Hello("mute"));
  EXPECT_EQ(StatusOf("mute"), DeviceStatus::kQuarantined);
  EXPECT_THAT(View("mute").record.reason, HasSubstr("did not acknowledge"));
}

TEST_F(LeaseTableQuarantineTest, QuarantineSurvivesReconnectingAndANewInstance) {
  SessionId session = MustRegister(Hello("pi4"));
  for (int i = 0; i < 3; ++i) Fail();
  table_.Disconnect(now_, session);
  EXPECT_EQ(StatusOf("pi4"), DeviceStatus::kLost);
  session = MustRegister(Hello("pi4", "second"));
  EXPECT_EQ(StatusOf("pi4"), DeviceStatus::kQuarantined);
  table_.Disconnect(now_, session);
  Pass(kQuarantine);
  MustRegister(Hello("pi4", "third"));
  EXPECT_EQ(StatusOf("pi4"), DeviceStatus::kFree) << "its time was over while it was away";
  Fail();
  EXPECT_EQ(View("pi4").record.until, now_ + 2 * kQuarantine);
}

TEST_F(LeaseTableQuarantineTest, DevicesWithFewerFailuresComeFirst) {
  MustRegister(Hello("a"));
  MustRegister(Hello("b"));
  MustRegister(Hello("c"));
  EXPECT_EQ(Use({"broken", false}), "a");
  for (const char* next : {"b", "c", "b", "c"}) EXPECT_EQ(Use({"", true}), next);
  const LeaseGrant b = MustLease("takes b"), c = MustLease("takes c");
  EXPECT_EQ(b.device + c.device, "bc");
  EXPECT_EQ(Use({"", true}), "a") << "better than none";
  MustRelease(ClaimOf(b));
  EXPECT_EQ(Use({"", true}), "a") << "well again, and free longest";
}

TEST_F(LeaseTableQuarantineTest, OnlyTheHolderCanSpeakOfADevice) {
  MustRegister(Hello("pi4"));
  const LeaseGrant grant = MustLease(AskAs("1", "client/ann", "ann"));
  for (int i = 0; i < 3; ++i) {
    const LeaseReport slander{"slander", false};
    EXPECT_EQ(table_.Release(now_, {"client/eve", "pi4", "1", grant.epoch}, slander).code(),
              StatusCode::kPermissionDenied);
    EXPECT_TRUE(table_.Release(now_, {"client/ann", "pi4", "1", grant.epoch + 1}, slander).ok());
    EXPECT_TRUE(table_.Release(now_, {"client/ann", "pi4", "0", grant.epoch}, slander).ok());
  }
  EXPECT_EQ(FailuresOf("pi4"), 0);
  const LeaseClaim own{"client/ann", "pi4", "1", grant.epoch};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(table_.Release(now_, own, {"broken", false}).ok());
  EXPECT_EQ(FailuresOf("pi4"), 1) << "a lease that is over says nothing more";
}

TEST_F(LeaseTableQuarantineTest, NewTableGoesOnWithTheRecordsOfTheFormer) {
  MustRegister(Hello("pi4"));
  MustRegister(Hello("pi5"));
  for (int i = 0; i < 3; ++i) {
    const LeaseGrant a = MustLease(NewId()), b = MustLease(NewId());
    for (const LeaseGrant& grant : {a, b}) {
      const LeaseReport report{grant.device == "pi4" ? "broken" : "", grant.device != "pi4"};
      EXPECT_TRUE(table_.Release(now_, ClaimOf(grant), report).ok());
    }
  }
  ASSERT_EQ(StatusOf("pi4"), DeviceStatus::kQuarantined);
  ASSERT_EQ(table_.records().size(), 1u);

  LeaseTableOptions options{.ttl = kTtl, .record_events = true, .records = table_.records()};
  options.records["gone"] = {"", 3, "broken", now_ + seconds(10)};
  options.records["of another"] = {"@10.0.0.9", 3, "broken", now_ + seconds(10)};
  options.records["tomorrow"] = {"", 3, "broken", now_ + std::chrono::hours(24)};
  LeaseTable next(options, now_);
  EXPECT_EQ(next.records().at("tomorrow").until, now_ + kLongest);
  for (const char* name : {"pi4", "pi5", "of another"}) {
    ASSERT_TRUE(next.Register(now_, Hello(name)).ok());
  }
  std::map<std::string, DeviceStatus> status;
  for (const DeviceView& view : next.Devices()) status[view.hello.name] = view.status;
  EXPECT_EQ(status["pi4"], DeviceStatus::kQuarantined);
  EXPECT_EQ(status["pi5"], DeviceStatus::kFree);
  EXPECT_EQ(status["of another"], DeviceStatus::kFree) << "a name that belongs to another now";
  EXPECT_EQ(next.records().count("gone"), 1u) << "it may come back";
  next.Tick(now_ + options.forget_lost);
  EXPECT_EQ(next.records().count("gone"), 0u);
  EXPECT_EQ(next.records().count("pi4"), 1u);
}

TEST_F(LeaseTableQuarantineTest, ForgottenDeviceHasNoRecord) {
  const SessionId session = MustRegister(Hello("pi4"));
  Fail();
  table_.Disconnect(now_, session);
  const std::uint64_t changes = table_.record_changes();
  Pass(std::chrono::hours(1));
  EXPECT_TRUE(table_.records().empty());
  EXPECT_GT(table_.record_changes(), changes);
}

// Over random histories no device is offered in its quarantine, and each one is again after it. The
// table's events say the same.
TEST(LeaseTableQuarantineHistoryTest, QuarantineIsKeptAndEnds) {
  int quarantines = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    SteadyTime now{};
    LeaseTable table({.ttl = kTtl, .ack_timeout = kAck, .record_events = true}, now);
    EventCheck check;
    std::map<SessionId, std::string> names;
    std::map<std::string, SteadyTime> until;
    std::map<std::string, LeaseGrant> held;
    int requests = 0;
    const auto connect = [&](const std::string& name) {
      const auto session = table.Register(now, Hello(name));
      ASSERT_TRUE(session.ok()) << session.status();
      names[*session] = name;
    };
    const auto work = [&] {
      table.Tick(now);
      for (const LeaseAction& action : table.TakeActions()) {
        if (const auto* told = std::get_if<TellQuarantine>(&action)) {
          until[told->device] = *told->record.until;
          ++quarantines;
        } else if (const auto* grant = std::get_if<SendGrant>(&action)) {
          const std::string& name = names[grant->session];
          const bool early = until.contains(name) && now < until[name];
          ASSERT_FALSE(early) << name << " is offered in its quarantine";
          table.Acknowledge(now, grant->session, grant->lease.epoch);
          held[name] = {grant->lease.id, grant->lease.epoch, name, ""};
        }
      }
      for (const LeaseEvent& event : table.TakeEvents()) {
        const Status status = check.Add(event);
        ASSERT_TRUE(status.ok()) << status;
      }
    };
    for (const char* name : {"a", "b", "c"}) connect(name);
    for (int step = 0; step < 600; ++step) {
      now += milliseconds(rng.Below(4'000));
      if (rng.Below(2) == 0) {
        const LeaseRequest request = Ask(std::to_string(++requests), 0, seconds(20));
        ASSERT_TRUE(table.Request(now, request).ok());
      }
      if (!held.empty() && rng.Below(3) != 0) {
        const auto one = std::next(held.begin(), static_cast<long>(rng.Below(held.size())));
        const LeaseGrant lease = one->second;
        held.erase(one);
        // "a" is mostly broken.
        const bool fails = rng.Below(10) < (lease.device == "a" ? 8u : 2u);
        const LeaseReport report{fails ? "broken" : "", !fails};
        ASSERT_TRUE(table.Release(now, {"", lease.device, lease.id, lease.epoch}, report).ok());
      }
      if (rng.Below(20) == 0) connect(rng.Below(2) == 0 ? "a" : "b");
      work();
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
    // Everybody is well again, and all are wanted.
    std::set<std::string> served;
    for (int step = 0; step < 40; ++step) {
      now += seconds(31);
      for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(table.Request(now, Ask(std::to_string(++requests), 0, seconds(20))).ok());
      }
      work();
      for (const auto& [name, lease] : held) {
        served.insert(name);
        ASSERT_TRUE(table.Release(now, {"", name, lease.id, lease.epoch}, {"", true}).ok());
      }
      held.clear();
      work();
    }
    EXPECT_EQ(served.size(), 3u);
    EXPECT_TRUE(table.records().empty());
  }
  EXPECT_GT(quarantines, 100);
}

}  // namespace
}  // namespace kiln
