#include "db/autotvm_log.h"

#include "db/trial_rules.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/trials.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using Is = AutotvmLine::Is;

std::string Record(const std::string& result,
                   const std::string& entity = R"([["tile_ic", "sp", [-1, 16]]])") {
  return R"({"input": ["llvm", "conv2d.x86", [["TENSOR", [1, 8], "int8"]], {}], "config": {"index": 170, "code_hash": null, "entity": )" +
         entity + R"(}, "result": )" + result + R"(, "version": 0.2, "tvm_version": "0.12.0"})";
}

TEST(AutotvmLogTest, ErrorNumbersAreStatuses) {
  const auto kind = [](int error_no) {
    const AutotvmLine line =
        ParseAutotvmLine(Record("[[1000000000.0], " + std::to_string(error_no) + ", 20, 17.5]"));
    EXPECT_EQ(line.is, Is::kForeign) << line.why;
    return std::get<Failure>(line.outcome);
  };
  EXPECT_EQ(kind(1).kind, FailureKind::kInvalidConfig);
  EXPECT_EQ(kind(2).kind, FailureKind::kCompileError);
  EXPECT_EQ(kind(3).kind, FailureKind::kCompileError);
  EXPECT_EQ(kind(4).kind, FailureKind::kRuntimeError);
  EXPECT_EQ(kind(5).kind, FailureKind::kWrongResult);
  EXPECT_EQ(kind(6).kind, FailureKind::kTimeout);
  EXPECT_EQ(kind(6).stage, Stage::kCompile);
  EXPECT_EQ(kind(7).kind, FailureKind::kTimeout);
  EXPECT_EQ(kind(7).stage, Stage::kRun);
  EXPECT_EQ(kind(8).kind, FailureKind::kRuntimeError);
}

TEST(AutotvmLogTest, TimesAreSecondsAndTheCostOfAFailureIsNone) {
  const AutotvmLine line = ParseAutotvmLine(Record("[[0.0002, 0.00025], 0, 0.3, 17.5]"));
  EXPECT_EQ(line.is, Is::kForeign) << line.why;
  EXPECT_EQ(line.task, "conv2d.x86");
  EXPECT_DOUBLE_EQ(std::get<Timings>(line.outcome).samples_ns[1], 250'000);
  for (const char* times : {"[1000000000.0]", "[0]", "[-1.0]", "[]", "[\"1\"]"}) {
    const AutotvmLine odd = ParseAutotvmLine(Record("[" + std::string(times) + ", 0, 0.3, 17.5]"));
    EXPECT_EQ(odd.is, Is::kDamaged);
    EXPECT_THAT(odd.why, HasSubstr("no time"));
  }
}

TEST(AutotvmLogTest, CommentsAndDamageAreTold) {
  for (const char* comment : {"", "\n", " \r\n", "# x\n", "  # {}"}) {
    EXPECT_EQ(ParseAutotvmLine(comment).is, Is::kComment);
  }
  const std::string good = Record("[[0.1], 0, 0.3, 17.5]");
  for (const std::string& bad :
       {good.substr(0, good.size() / 2), std::string("{}"), std::string("17"),
        std::string("\xff\xfe"), Record("[[0.1], 9, 0.3, 17.5]"), Record("[0.1, 0, 0.3, 17.5]"),
        Record("[[0.1], 0]"), Record("[[0.1], 0, 0.3, 17.5]", "[[1]]"),
        Record("[[0.1], 0, 0.3, 17.5]", "null")}) {
    const AutotvmLine line = ParseAutotvmLine(bad);
    EXPECT_EQ(line.is, Is::kDamaged) << bad;
    EXPECT_FALSE(line.why.empty());
  }
}

TEST(AutotvmLogTest, OwnTrialsComeBackAsTheSameConfigsAndTimes) {
  const Task task = FakeTask();
  Trial ok = OkTrial(task, 3, 1234.5678901234567 / 3, "u1");
  const std::vector<Trial> trials = {
      ok, FailedTrial(task, 1, {Stage::kRun, FailureKind::kTimeout, "2 s"}, "u2"),
      FailedTrial(task, 0, {Stage::kLoad, FailureKind::kHostKilled, "gone"}, "u3"),
      FailedTrial(task, 2, {Stage::kCompile, FailureKind::kBadObject, "\"odd\"\n"}, "u4")};
  for (const Trial& trial : trials) {
    const TrialRecord record = RecordOf(task, CacheState::kCold, trial);
    const auto text = AutotvmLineOf(record, trial);
    ASSERT_TRUE(text);
    const AutotvmLine line = ParseAutotvmLine(*text);
    ASSERT_EQ(line.is, Is::kOwn) << line.why;
    EXPECT_EQ(line.record.workload, record.workload);
    EXPECT_EQ(line.record.target, record.target);
    EXPECT_EQ(line.record.kernel_template, record.kernel_template);
    EXPECT_EQ(line.record.threads, record.threads);
    EXPECT_EQ(line.record.cache, CacheState::kCold);
    EXPECT_EQ(line.record.labels, record.labels);
    EXPECT_EQ(line.record.config_id, record.config_id);
    EXPECT_THAT(line.record.trial, SameMeasurement(trial));
    const auto config = task.space().FromLabels(line.record.labels);
    ASSERT_TRUE(config.ok());
    EXPECT_EQ(*config, trial.config);
  }
}

TEST(AutotvmLogTest, AConfigIsToldByTheNamesOfItsKnobsAlone) {
  const Task task = FakeTask();
  const Trial trial = OkTrial(task, 3, 10, "u");
  const TrialRecord record = RecordOf(task, CacheState::kHot, trial);
  std::string text = *AutotvmLineOf(record, trial);
  const std::size_t index = text.find("\"index\":-1");
  ASSERT_NE(index, std::string::npos);
  text.replace(index, 10, "\"index\":12345");
  EXPECT_EQ(ParseAutotvmLine(text).record.labels, record.labels);
}

TEST(AutotvmLogTest, WhatV02CannotSayIsNoLine) {
  const Task task = FakeTask();
  const TrialRecord record = RecordOf(task, CacheState::kHot, OkTrial(task, 0, 10, "u"));
  EXPECT_FALSE(AutotvmLineOf(record, CensoredTrial(task, 0, 10, "u")));
  for (const TimeKind kind : {TimeKind::kEmulated, TimeKind::kEstimated}) {
    Trial trial = OkTrial(task, 0, 10, "u");
    trial.kind = kind;
    EXPECT_FALSE(AutotvmLineOf(record, trial));
  }
}

}  // namespace
}  // namespace kiln
