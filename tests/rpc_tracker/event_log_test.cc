#include "rpc_tracker/event_log.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "rpc_tracker/event_check.h"
#include "tests/base/temporary_directory.h"
#include "tests/rpc_tracker/table_fixture.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::IsSupersetOf;

std::vector<LeaseEvent> EventsIn(const std::string& path) {
  std::vector<LeaseEvent> events;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto event = ParseLeaseEvent(line);
    EXPECT_TRUE(event.ok()) << event.status();
    if (event.ok()) events.push_back(*event);
  }
  return events;
}

std::vector<LeaseEventKind> Kinds(const std::vector<LeaseEvent>& events) {
  std::vector<LeaseEventKind> kinds;
  for (const LeaseEvent& event : events) kinds.push_back(event.kind);
  return kinds;
}

Status CheckFile(const std::string& path) {
  std::ifstream file(path);
  return CheckEventLog(file);
}

// What a table does while leases come and go, into the log.
void RunAFarm(EventLog& log, std::uint64_t first_epoch) {
  SteadyTime now{};
  LeaseTable table(
      {.ttl = kTtl, .ack_timeout = kAck, .first_epoch = first_epoch, .record_events = true}, now);
  for (int device = 0; device < 3; ++device) {
    const auto session = table.Register(now, Hello("device-" + std::to_string(device)));
    ASSERT_TRUE(session.ok()) << session.status();
  }
  for (int i = 0; i < 60; ++i) {
    now += std::chrono::milliseconds(700);
    const std::string id = std::to_string(first_epoch) + "-" + std::to_string(i);
    EXPECT_TRUE(table.Request(now, Ask(id, 0, std::chrono::seconds(20))).ok());
    table.Tick(now);
    for (const LeaseAction& action : table.TakeActions()) {
      const auto* grant = std::get_if<SendGrant>(&action);
      // Some devices do not answer in time, some clients give back.
      if (!grant || grant->lease.epoch % 7 == 3) continue;
      table.Acknowledge(now, grant->session, grant->lease.epoch);
    }
    table.TakeActions();
    for (const DeviceView& view : table.Devices()) {
      if (view.status != DeviceStatus::kLeased || i % 3 != 0) continue;
      EXPECT_TRUE(table
                      .Release(now, {"", view.hello.name,
                                     view.client.substr(std::string("client-").size()), view.epoch})
                      .ok());
    }
    log.Append(table.TakeEvents());
  }
}

TEST(EventLogTest, LinesOfAFarmProveThatNoLeaseWasHeldTwice) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("events");
  for (const std::uint64_t start : {1, 2}) {  // the second one appends
    const auto log = OpenEventLog(path, SystemClock());
    ASSERT_TRUE(log.ok()) << log.status();
    RunAFarm(**log, start << 40);
  }
  const auto events = EventsIn(path);
  using Kind = LeaseEventKind;
  EXPECT_THAT(Kinds(events), IsSupersetOf({Kind::kStarted, Kind::kRegistered, Kind::kWaiting,
                                           Kind::kOffered, Kind::kReturned, Kind::kGranted,
                                           Kind::kReleased, Kind::kStarted, Kind::kLost}));
  EXPECT_TRUE(CheckFile(path).ok()) << CheckFile(path);
}

TEST(EventLogTest, LeaseHeldTwiceIsFoundWithItsLine) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("events");
  {
    const auto log = OpenEventLog(path, SystemClock());
    ASSERT_TRUE(log.ok());
    const auto event = [](LeaseEventKind kind, const std::string& lease, std::uint64_t epoch) {
      return LeaseEvent{.kind = kind, .device = "a", .lease = lease, .epoch = epoch};
    };
    (*log)->Append({event(LeaseEventKind::kOffered, "1", 1),
                    event(LeaseEventKind::kGranted, "1", 1),
                    event(LeaseEventKind::kOffered, "2", 2)});
  }
  EXPECT_THAT(Message(CheckFile(path)), testing::StartsWith("line 3: "));
}

TEST(EventLogTest, WhateverPeersCallThemselvesALineIsALine) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("events");
  const LeaseEvent odd{.kind = LeaseEventKind::kDeviceRefused,
                       .device = "a\n{\"event\":\"granted\"}",
                       .client = "\x01\"\\",
                       .reason = "caf\xc3\xa9"};
  {
    const auto log = OpenEventLog(path, SystemClock());
    ASSERT_TRUE(log.ok());
    (*log)->Append({odd});
    (*log)->Append({});
  }
  EXPECT_THAT(EventsIn(path), ElementsAre(odd));
}

TEST(EventLogTest, FileThatCannotBeWrittenIsAnError) {
  const auto log = OpenEventLog("/proc/no/such/file", SystemClock());
  EXPECT_EQ(log.status().code(), StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace kiln
