#include "apps/kiln/top_picture.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace kiln {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::Each;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr std::int64_t kNow = 1'795'780'800'000, kHourMs = 3'600'000;

class TopPictureTest : public testing::Test {
 protected:
  std::vector<std::string> Draw() const {
    std::vector<std::string> texts;
    for (const TopLine& line : DrawTop(facts_, choice_, canvas_).lines) texts.push_back(line.text);
    return texts;
  }
  // The line that begins so; empty: there is none.
  std::string LineOf(const std::string& begin) const {
    for (const std::string& line : Draw()) {
      if (line.starts_with(begin)) return line;
    }
    return "";
  }

  void AddDevices(int count) {
    FarmInfo farm{.devices = {}, .waiting = 3};
    for (int i = 0; i < count; ++i) {
      DeviceInfo device;
      device.name = "pi-" + std::to_string(i);
      device.target = "rasp4b";
      device.state = i == 1 ? "quarantined" : "leased";
      device.client = i == 1 ? "" : "ann@box:12";
      if (i == 1) device.failures = 4, device.fault = "wrong results";
      farm.devices.push_back(device);
    }
    facts_.farm = {.last = farm, .at_ms = kNow};
  }
  void AddJobs(int count) {
    QueueFacts queue{.windows = {"night: open until Fri 06:00 UTC (in 3h12)"}};
    queue.ended = {{.text = "failed: vgg (bob): no such target", .failed = true},
                   {.text = "done: nightly (ann): net 2.000 -> 1.000 ms, 2.00x"}};
    for (std::int64_t i = 1; i <= count; ++i) {
      queue.jobs.push_back({.id = i,
                            .trials = 10 * i,
                            .state = i == 1 ? "running" : "queued",
                            .name = i % 2 ? "mobilenet" : "resnet",
                            .user = "ann",
                            .target = "rasp4b",
                            .why = i == 1 ? "20 tasks" : "job 1 (ann) has rasp4b now",
                            .progress = std::to_string(10 * i) + "/400",
                            .left_ms = {}});
    }
    if (count > 0) queue.jobs[0].left_ms = kHourMs + 300'000;
    facts_.queue = {.last = queue, .at_ms = kNow};
  }
  void AddTasks(int count) {
    StoreFacts store{.active_tasks = count, .trials = 5000, .measured = 600, .failed = 7};
    store.devices = {{.device = "pi-0",
                      .since = 590,
                      .failed_since = 7,
                      .last_ms = kNow - 2000,
                      .temperature_c = 61.2,
                      .load = 1.25}};
    for (int i = 0; i < count; ++i) {
      store.tasks.push_back({.layer = "conv " + std::to_string(i),
                             .setting = "rasp4b, 1 thread",
                             .trials = 100 + i,
                             .recent = 60,
                             .last_ms = kNow - 5000,
                             .flat = 12,
                             .best_ns = 1'500'000,
                             .gain = 1.25,
                             .curve = {3e6, 2e6, 1.5e6}});
    }
    facts_.store = {.last = store, .at_ms = kNow};
  }

  TopFacts facts_{.at_ms = kNow};
  TopChoice choice_;
  Canvas canvas_{.columns = 120, .rows = 40};
};

TEST_F(TopPictureTest, ShowsVerdictDevicesQueueAndTasks) {
  AddDevices(2);
  AddJobs(2);
  AddTasks(2);
  const auto lines = Draw();
  EXPECT_EQ(lines[0], "Last day: 1 job done, 1 failed; hour: 600 measured, 7 failed; 5,000 trials");
  EXPECT_THAT(lines, Contains("  done: nightly (ann): net 2.000 -> 1.000 ms, 2.00x"));
  EXPECT_THAT(lines, Contains("Devices: 2; 3 clients waiting for one"));
  EXPECT_THAT(LineOf("pi-0 "),
              ContainsRegex("leased +61 C +1.25 +590 +7 +2s +rasp4b +has ann@box:12$"));
  EXPECT_THAT(LineOf("pi-1 "), ContainsRegex("quarantined +- +- .*4 failures.*: wrong results"));
  EXPECT_THAT(lines, Contains("Queue: 2 jobs waiting or running"));
  EXPECT_THAT(lines, Contains("  window night: open until Fri 06:00 UTC (in 3h12)"));
  EXPECT_THAT(lines, Contains(ContainsRegex("running +mobilenet .* 10/400 +1h05m +20 tasks")));
  EXPECT_THAT(lines, Contains(ContainsRegex("queued .* 20/400 +- +job 1 \\(ann\\) has")));
  EXPECT_THAT(lines, Contains("Tasks of the last hour: 2; 3.750 -> 3.000 ms together, 1.25x"));
  EXPECT_THAT(LineOf("conv 0"),
              ContainsRegex("rasp4b, 1 thread +100 +60 +0 +1500.00 +1.25x +=\\+# +12 +5s"));
}

// None is a blank.
TEST_F(TopPictureTest, WhatIsNotKnownOrEmptySaysSo) {
  EXPECT_THAT(Draw(), AllOf(Contains(HasSubstr("--tracker ADDRESS shows them")),
                            Contains(HasSubstr("--daemon ADDRESS or --db FILE shows it")),
                            Contains(HasSubstr("--db FILE shows them"))));
  facts_.farm = {.last = FarmInfo(), .at_ms = kNow};
  facts_.queue = {.last = QueueFacts(), .at_ms = kNow};
  facts_.store = {.last = StoreFacts(), .at_ms = kNow};
  EXPECT_THAT(Draw(), AllOf(Contains(HasSubstr("none registered: `kiln-server --tracker")),
                            Contains(HasSubstr("`kiln submit` makes one")),
                            Contains(HasSubstr("no trials yet: `kiln tune`"))));
  facts_.store->last->trials = 7;
  EXPECT_THAT(Draw(), Contains(HasSubstr("no trial in the last hour")));
  facts_.farm = {.trouble = Error(StatusCode::kUnavailable, "nothing answers at farm:9190")};
  facts_.queue = {.trouble = Error(StatusCode::kUnavailable, "no daemon answers at d.sock")};
  facts_.store = {.trouble = Error(StatusCode::kNotFound, "no database at x.db")};
  EXPECT_THAT(Draw(),
              AllOf(Contains("  nothing answers at farm:9190"),
                    Contains("  no daemon answers at d.sock"), Contains("  no database at x.db")));
}

TEST_F(TopPictureTest, WhatFellSilentIsShownAsItWasAndSaysSo) {
  AddDevices(1);
  AddTasks(1);
  facts_.farm->Hear(Error(StatusCode::kUnavailable, "nothing answers at farm:9190"), kNow + 60'000);
  facts_.at_ms += 60'000;
  EXPECT_THAT(LineOf("  STALE, as of 1m00s ago"), HasSubstr("nothing answers at farm:9190"));
  EXPECT_THAT(LineOf("pi-0 "), HasSubstr("has ann@box:12"));
  EXPECT_THAT(Draw(), Contains(HasSubstr("no answer since"))) << "the database hangs";
  facts_.farm->Hear(FarmInfo(), kNow + 60'000);
  facts_.store->at_ms = kNow + 60'000;
  EXPECT_EQ(LineOf("  STALE"), "");
}

TEST_F(TopPictureTest, AnHourInWhichAllFailedIsTrouble) {
  AddTasks(1);
  facts_.store->last->failure = "run: TIMEOUT: 20 s";
  const auto lines = DrawTop(facts_, choice_, canvas_).lines;
  EXPECT_THAT(lines[1].text, HasSubstr("most often with run: TIMEOUT: 20 s"));
  EXPECT_EQ(lines[1].kind, TopLine::Kind::kBad);
}

TEST_F(TopPictureTest, FitsAnyTerminal) {
  AddDevices(40);
  AddJobs(40);
  AddTasks(40);
  for (const std::size_t rows : {1u, 3u, 9u, 12u, 22u, 50u, 200u}) {
    for (const std::size_t columns : {1u, 20u, 80u, 200u}) {
      canvas_ = {.columns = columns, .rows = rows};
      const auto lines = Draw();
      EXPECT_LE(lines.size(), rows) << columns;
      for (const std::string& line : lines) {
        EXPECT_LE(line.size(), columns) << line;
        EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c < 127; })) << line;
      }
    }
  }
  canvas_ = {.columns = 80, .rows = 22};
  EXPECT_THAT(Draw(), AllOf(SizeIs(22), Contains(HasSubstr(" of 40 shown"))));
}

TEST_F(TopPictureTest, InTheSmallestTerminalRowsComeBeforeNotes) {
  AddDevices(1);
  AddJobs(1);
  AddTasks(9);
  canvas_ = {.columns = 80, .rows = 10};
  EXPECT_THAT(Draw(), SizeIs(10));
  for (const char* begin : {"pi-0", " 1  running", "conv 0"}) EXPECT_NE(LineOf(begin), "") << begin;
  canvas_.rows = 13;
  EXPECT_NE(LineOf("  failed: vgg"), "") << "what is wrong stays longer";
  EXPECT_EQ(LineOf("  window"), "");
}

TEST_F(TopPictureTest, WhatIsWrongIsReadToItsEnd) {
  facts_.store = {.trouble = Error(StatusCode::kFailedPrecondition, "a/rather/long/path/tuning.db",
                                   " was written by a newer Kiln (schema 99): update this one")};
  canvas_ = {.columns = 60, .rows = 22};
  EXPECT_THAT(Draw(), AllOf(Contains("  a/rather/long/path/tuning.db was written by a newer Kiln"),
                            Contains("  (schema 99): update this one")));
}

TEST_F(TopPictureTest, FailuresOfTasksAreWorthAColumn) {
  AddTasks(2);
  facts_.store->last->tasks[0].layer = "conv3x3s2 224x224 3->32";
  canvas_ = {.columns = 80, .rows = 22};
  EXPECT_THAT(LineOf("layer"), Not(HasSubstr("failed")));
  facts_.store->last->tasks[1].failed = 3;
  EXPECT_THAT(LineOf("layer"), HasSubstr("failed"));
}

TEST_F(TopPictureTest, EightyColumnsHaveTheSparklineAndTheWholeLayer) {
  AddTasks(1);
  facts_.store->last->tasks[0].layer = "conv3x3s2 224x224 3->32";
  canvas_ = {.columns = 80, .rows = 22, .unicode = true};
  EXPECT_THAT(LineOf("conv3x3s2 224x224 3->32 "), AllOf(HasSubstr("▅▆█"), HasSubstr("1.25x")));
}

TEST_F(TopPictureTest, NamesOfOtherMachinesDoNotSpeakToTheTerminal) {
  AddDevices(1);
  facts_.farm->last->devices[0].name = "ü\033[2J\xff\xc2\x9b";
  EXPECT_THAT(Draw(), Contains(StartsWith("?\\x1b[2J?? ")));
  canvas_.unicode = true;
  EXPECT_THAT(Draw(), Contains(StartsWith("ü\\x1b[2J?? ")));
}

TEST_F(TopPictureTest, SectionsGiveTheirRoomToThoseThatNeedIt) {
  AddDevices(1);
  AddJobs(1);
  AddTasks(30);
  canvas_ = {.columns = 120, .rows = 22};
  EXPECT_THAT(Draw(), SizeIs(22));
  EXPECT_NE(LineOf("pi-0"), "");
  EXPECT_NE(LineOf("conv 7"), "");
}

TEST_F(TopPictureTest, FilterHidesRowsAndSaysWhereNoneIsLeft) {
  AddJobs(4);
  choice_.filter = "RESNET";
  EXPECT_THAT(Draw(), AllOf(Contains(HasSubstr("resnet")), Each(Not(HasSubstr("mobilenet")))));
  choice_.filter = "inception";
  EXPECT_THAT(Draw(), Contains("  none has `inception` in it"));
}

TEST_F(TopPictureTest, SortsAndScrollsAndHides) {
  AddTasks(30);
  choice_.devices = choice_.queue = false;
  choice_.sort = TopSort::kTrials;
  EXPECT_THAT(Draw()[3], StartsWith("conv 29"));
  choice_.sort = TopSort::kName;
  EXPECT_THAT(Draw()[4], StartsWith("conv 1 "));
  EXPECT_THAT(Draw()[5], StartsWith("conv 10"));
  choice_.sort = TopSort::kUsual;
  canvas_.rows = 13;
  choice_.scroll = 5;
  EXPECT_THAT(Draw()[3], StartsWith("conv 5"));
  EXPECT_EQ(Draw().back(), "  ... 6-14 of 30 shown");
  choice_.scroll = 1000;
  EXPECT_EQ(Draw().back(), "  ... 22-30 of 30 shown") << "no further than there is";
  EXPECT_EQ(DrawTop(facts_, choice_, canvas_).furthest, 21u);
  choice_.tasks = false;
  EXPECT_THAT(Draw(), Contains(HasSubstr("1, 2 and 3 show it")));
}

TEST_F(TopPictureTest, TroubleComesFirstAndIsWordsAndNotColourAlone) {
  AddJobs(1);
  facts_.queue->last->troubles = {"the disk is full"};
  const auto lines = DrawTop(facts_, choice_, canvas_).lines;
  EXPECT_EQ(lines[1].text, "  trouble: the disk is full");
  EXPECT_EQ(lines[1].kind, TopLine::Kind::kBad);
}

TEST_F(TopPictureTest, HelpSaysWhatKeysAndColumnsMeanInTheSmallestTerminal) {
  choice_.help = true;
  canvas_ = {.columns = 80, .rows = 22};
  EXPECT_THAT(Draw(), AllOf(SizeIs(testing::Le(22u)), Contains(HasSubstr("flat:")),
                            Contains(HasSubstr("NO_COLOR"))));
}

}  // namespace
}  // namespace kiln
