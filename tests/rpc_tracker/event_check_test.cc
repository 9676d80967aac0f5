#include "rpc_tracker/event_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <vector>

namespace kiln {
namespace {

using Kind = LeaseEventKind;
using testing::HasSubstr;

LeaseEvent Event(Kind kind, const std::string& device, const std::string& lease,
                 std::uint64_t epoch) {
  return {.kind = kind, .device = device, .lease = lease, .epoch = epoch};
}

// The first violation.
std::string Check(const std::vector<LeaseEvent>& events) {
  EventCheck check;
  for (const LeaseEvent& event : events) {
    const Status status = check.Add(event);
    if (!status.ok()) return Message(status);
  }
  return "";
}

TEST(EventCheckTest, PassesLeasesOneAfterTheOther) {
  EXPECT_EQ(Check({Event(Kind::kStarted, "", "", 0), Event(Kind::kRegistered, "a", "", 0),
                   Event(Kind::kOffered, "a", "1", 1), Event(Kind::kReturned, "", "1", 0),
                   Event(Kind::kOffered, "a", "1", 2), Event(Kind::kGranted, "a", "1", 2),
                   Event(Kind::kReleased, "a", "1", 2), Event(Kind::kOffered, "a", "2", 3),
                   Event(Kind::kGranted, "a", "2", 3), Event(Kind::kExpired, "a", "2", 3)}),
            "");
}

TEST(EventCheckTest, FindsADeviceThatIsGrantedTwice) {
  EXPECT_THAT(Check({Event(Kind::kOffered, "a", "1", 1), Event(Kind::kGranted, "a", "1", 1),
                     Event(Kind::kOffered, "a", "2", 2)}),
              HasSubstr("it holds 1"));
}

TEST(EventCheckTest, FindsAGrantThatWasNotOffered) {
  EXPECT_THAT(Check({Event(Kind::kGranted, "a", "1", 1)}), HasSubstr("not offered"));
  EXPECT_THAT(Check({Event(Kind::kOffered, "a", "1", 1), Event(Kind::kGranted, "a", "1", 2)}),
              HasSubstr("not offered"));
}

TEST(EventCheckTest, FindsAnEpochThatFalls) {
  EXPECT_THAT(Check({Event(Kind::kOffered, "a", "1", 5), Event(Kind::kGranted, "a", "1", 5),
                     Event(Kind::kReleased, "a", "1", 5), Event(Kind::kOffered, "a", "2", 5)}),
              HasSubstr("used before"));
}

TEST(EventCheckTest, FindsALeaseOnTwoDevices) {
  EXPECT_THAT(Check({Event(Kind::kOffered, "a", "1", 1), Event(Kind::kGranted, "a", "1", 1),
                     Event(Kind::kOffered, "b", "1", 1), Event(Kind::kGranted, "b", "1", 1)}),
              HasSubstr("the lease is on a"));
}

TEST(EventCheckTest, FindsAnEndOfWhatDidNotBegin) {
  EXPECT_THAT(Check({Event(Kind::kReleased, "a", "1", 1)}), HasSubstr("holds nothing"));
}

TEST(EventCheckTest, PassesALeaseThatSurvivesARestart) {
  EXPECT_EQ(Check({Event(Kind::kOffered, "a", "1", 1), Event(Kind::kGranted, "a", "1", 1),
                   Event(Kind::kStarted, "", "", 100), Event(Kind::kAdopted, "a", "1", 1),
                   Event(Kind::kReleased, "a", "1", 1), Event(Kind::kOffered, "a", "2", 101)}),
            "");
}

// The device was stopped before it heard that its lease had ended, and of the offer that followed.
TEST(EventCheckTest, PassesALeaseThatADeviceBringsBackAfterAnOfferThatItNeverSaw) {
  std::vector<LeaseEvent> events = {
      Event(Kind::kOffered, "a", "1", 1), Event(Kind::kGranted, "a", "1", 1),
      Event(Kind::kExpired, "a", "1", 1), Event(Kind::kOffered, "a", "2", 2),
      Event(Kind::kStarted, "", "", 9),   Event(Kind::kAdopted, "a", "1", 1),
      Event(Kind::kExpired, "a", "1", 1), Event(Kind::kOffered, "a", "3", 10)};
  EXPECT_EQ(Check(events), "");
  // It took the offer: so the former lease is not its to bring.
  events.insert(events.begin() + 4, Event(Kind::kGranted, "a", "2", 2));
  EXPECT_THAT(Check(events), HasSubstr("adopted 1 on a with epoch 1: epoch 2 was used before"));
}

TEST(EventCheckTest, HoldsATrackerThatKeepsItsStateToItsEpochs) {
  const auto with_start = [](std::uint64_t first_epoch) {
    return Check({Event(Kind::kOffered, "a", "1", 9), Event(Kind::kGranted, "a", "1", 9),
                  Event(Kind::kStarted, "", "", first_epoch), Event(Kind::kOffered, "a", "2", 9)});
  };
  EXPECT_THAT(with_start(8), HasSubstr("used before"));
  EXPECT_EQ(with_start(0), "");
}

TEST(EventCheckTest, ReadsLinesOfJson) {
  std::vector<LeaseEvent> events{Event(Kind::kOffered, "a", "1", 1),
                                 Event(Kind::kGranted, "a", "1", 1),
                                 {Kind::kRequestRefused, "", "2", "ann \"\n", "p\xff", 0, "words"},
                                 Event(Kind::kGranted, "b", "3", 1)};
  std::stringstream lines;
  for (const LeaseEvent& event : events) {
    const std::string line = ToJsonLine(event, WallTime(std::chrono::milliseconds(7)));
    EXPECT_EQ(line.find('\n'), std::string::npos);
    lines << line << '\n';
  }
  const auto first = ParseLeaseEvent(lines.str().substr(0, lines.str().find('\n')));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*first, events[0]);
  EXPECT_THAT(Message(CheckEventLog(lines)), HasSubstr("line 4: granted 3 on b with epoch 1"));
}

TEST(EventCheckTest, NamesALineThatIsNoEvent) {
  for (const char* bad :
       {"", "nonsense", "[]", "{}", R"({"event":"unheard"})", R"({"event":7})",
        R"({"event":"granted","device":1})", R"({"event":"granted","epoch":-1})"}) {
    std::stringstream lines(std::string(bad) + "\n");
    EXPECT_EQ(CheckEventLog(lines).code(), StatusCode::kInvalidArgument) << bad;
  }
}

TEST(EventCheckTest, FindsAnOfferInQuarantine) {
  const LeaseEvent quarantined = Event(Kind::kQuarantined, "a", "", 0);
  EXPECT_THAT(Check({quarantined, Event(Kind::kOffered, "a", "1", 1)}),
              HasSubstr("it is in quarantine"));
  EXPECT_THAT(
      Check({Event(Kind::kOffered, "a", "1", 1), Event(Kind::kGranted, "a", "1", 1), quarantined,
             Event(Kind::kReleased, "a", "1", 1), Event(Kind::kOffered, "a", "2", 2)}),
      HasSubstr("it is in quarantine"));
  EXPECT_EQ(Check({quarantined, Event(Kind::kOffered, "b", "1", 1),
                   Event(Kind::kReadmitted, "a", "", 0), Event(Kind::kOffered, "a", "2", 1)}),
            "");
}

TEST(EventCheckTest, TrackerThatBeginsAnewSaysWhoIsStillInQuarantine) {
  const LeaseEvent quarantined = Event(Kind::kQuarantined, "a", "", 0),
                   started = Event(Kind::kStarted, "", "", 0),
                   offered = Event(Kind::kOffered, "a", "1", 1);
  EXPECT_EQ(Check({quarantined, started, offered}), "") << "it has forgotten";
  EXPECT_THAT(Check({quarantined, started, quarantined, offered}),
              HasSubstr("it is in quarantine"));
}

}  // namespace
}  // namespace kiln
