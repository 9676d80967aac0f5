#include "daemon/submission.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "ops/target.h"
#include "tests/base/temporary_directory.h"
#include "tests/daemon/fake_night.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A good submission at Friday noon, to a daemon with the window `night`, which each test spoils.
class SubmissionTest : public testing::Test {
 protected:
  SubmissionTest() {
    submission_.uuid = "u-1";
    submission_.user = "ann";
    submission_.name = "mine";
    submission_.spec = R"({"networks":[{"network":"resnet18"}],"target":"rasp4b"})";
  }

  StatusOr<NewJob> Check() const { return CheckSubmission(submission_, config_, Noon()); }
  NewJob Accepted() const {
    const auto job = Check();
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(NewJob());
  }
  // It is refused, on one line with these words.
  void ExpectRefused(StatusCode code, const std::string& words) const {
    const Status status = Check().status();
    EXPECT_EQ(status.code(), code);
    EXPECT_THAT(Message(status), AllOf(HasSubstr(words), Not(HasSubstr("\n"))));
  }
  void ExpectInvalid(const std::string& words) const {
    ExpectRefused(StatusCode::kInvalidArgument, words);
  }
  void Model(const std::string& path, const std::string& digest = "") {
    submission_.spec = ToJson(JobSpec{.networks = {{.model = path, .digest = digest}}});
  }

  const TemporaryDirectory place_;
  DaemonConfig config_ = NightConfig();
  Submission submission_;
};

TEST_F(SubmissionTest, GoodOneIsTheJobThatWasMeant) {
  submission_.priority = -3;
  submission_.after = {1, 2};
  submission_.window = "night";
  submission_.deadline = "06:00";
  const NewJob job = Accepted();
  EXPECT_EQ(job.uuid, "u-1");
  EXPECT_EQ(job.user, "ann");
  EXPECT_EQ(job.name, "mine");
  EXPECT_EQ(job.target, "rasp4b");
  EXPECT_EQ(job.window, "night");
  EXPECT_EQ(job.priority, -3);
  EXPECT_EQ(job.deadline_ms, ToUnixMs(Noon(18)));
  EXPECT_THAT(job.after, testing::ElementsAre(1, 2));
  EXPECT_EQ(*ParseJobSpec(job.spec), *ParseJobSpec(submission_.spec));
  EXPECT_EQ(job.series, "");
  EXPECT_EQ(job.occurrence, "");
}

TEST_F(SubmissionTest, WordsMustBeFitToBeShown) {
  const Submission good = submission_;
  submission_.uuid = "";
  ExpectInvalid("a job needs a uuid of its own");
  submission_.uuid = "a b";
  ExpectInvalid("a job needs a uuid of its own: up to 128 printable characters without spaces");
  submission_ = good;
  submission_.user = "";
  ExpectInvalid("`` cannot be a user");
  submission_.user = "ann lee";
  ExpectInvalid("`ann lee` cannot be a user: printable, without spaces");
  submission_ = good;
  submission_.name = "two\nlines";
  ExpectInvalid("a job's name is 1 to 256 printable characters");
  submission_.name = std::string(257, 'x');
  ExpectInvalid("a job's name is 1 to 256 printable characters");
}

TEST_F(SubmissionTest, PrioritiesHaveBounds) {
  for (const std::int32_t priority : {-101, 101}) {
    submission_.priority = priority;
    ExpectInvalid("a priority is -100 to 100: " + std::to_string(priority) + " is none");
  }
  submission_.priority = 100;
  EXPECT_EQ(Accepted().priority, 100);
}

TEST_F(SubmissionTest, SpecThatCannotBeReadIsRefused) {
  submission_.spec = R"({"networks":[]})";
  ExpectInvalid("the job's spec: ");
  submission_.spec = R"({"networks":[{"network":"resnet18"}],"traget":"rasp4b"})";
  ExpectInvalid("traget");
}

TEST_F(SubmissionTest, NativeBecomesThisMachinesTargetAndOtherNamesStay) {
  submission_.spec = R"({"networks":[{"network":"resnet18"}]})";
  const std::string here = FindTarget("native")->name;
  const NewJob job = Accepted();
  EXPECT_EQ(job.target, here);
  EXPECT_NE(job.target, "native");
  EXPECT_EQ(ParseJobSpec(job.spec)->target, here);
  submission_.spec = R"({"networks":[{"network":"resnet18"}],"target":"rasp9"})";
  EXPECT_EQ(Accepted().target, "rasp9") << "it may become known";
}

// ---- windows

TEST_F(SubmissionTest, WindowIsTheOneThatWasNamedOrTheUsual) {
  EXPECT_EQ(Accepted().window, "") << "at any time, where none is usual";
  config_.default_window = "night";
  EXPECT_EQ(Accepted().window, "night");
  submission_.window = "any";
  EXPECT_EQ(Accepted().window, "");
  submission_.window = "dawn";
  ExpectInvalid("the daemon has no window `dawn`: it has night, any (at any time)");
}

// ---- files

TEST_F(SubmissionTest, FilesHaveTheirDigestFromThenOn) {
  const std::string path = place_.Write("m.tflite", "a model");
  Model(path);
  const std::string digest = *FileDigest(path);
  EXPECT_EQ(digest.size(), 16u);
  EXPECT_EQ(ParseJobSpec(Accepted().spec)->networks[0].digest, digest);
  Model(path, digest);
  EXPECT_EQ(ParseJobSpec(Accepted().spec)->networks[0].digest, digest);
  submission_.spec = ToJson(JobSpec{.networks = {{.layers = path}}});
  EXPECT_EQ(ParseJobSpec(Accepted().spec)->networks[0].digest, digest);
  place_.Write("m.tflite", "another model");
  EXPECT_NE(*FileDigest(path), digest);
}

TEST_F(SubmissionTest, FilesMustBeHereAndTheOnesThatAreMeant) {
  const std::string path = place_.Write("m.tflite", "a model");
  Model(path, "0123456789abcdef");
  ExpectRefused(StatusCode::kFailedPrecondition,
                path + " is another file on the daemon's machine: put the same one there");
  Model(place_.File("gone.tflite"));
  ExpectRefused(StatusCode::kNotFound, "no such file: " + place_.File("gone.tflite"));
  Model(place_.path().string());
  ExpectInvalid(place_.path().string() + ": not a regular file");
  ASSERT_EQ(mkfifo(place_.File("pipe").c_str(), 0600), 0);
  Model(place_.File("pipe"));
  ExpectInvalid("not a regular file");
  submission_.spec = R"({"networks":[{"model":"m.tflite"}]})";
  ExpectInvalid("absolute path");
}

// ---- deadlines

TEST_F(SubmissionTest, DeadlineIsATimeOfDayInTheZoneOrRfc3339) {
  const auto deadline = [&](const std::string& text) {
    submission_.deadline = text;
    return Accepted().deadline_ms;
  };
  EXPECT_EQ(deadline("12:30"), ToUnixMs(Noon(0.5)));
  EXPECT_EQ(deadline("12:00"), ToUnixMs(Noon(24))) << "the next one";
  EXPECT_EQ(deadline("2026-11-28T06:00:00Z"), ToUnixMs(Noon(18)));
  EXPECT_EQ(deadline("2026-11-28T06:00:00+01:00"), ToUnixMs(Noon(17)));
  EXPECT_EQ(deadline(""), std::nullopt);
  config_.zone = *TimeZone::Named("Europe/Berlin");
  EXPECT_EQ(deadline("06:00"), ToUnixMs(Noon(17)));
}

TEST_F(SubmissionTest, DeadlineThatIsNoneOrOverIsRefused) {
  submission_.deadline = "2026-11-27T12:00:00Z";
  ExpectInvalid("the deadline 2026-11-27T12:00:00Z is over already");
  for (const char* text : {"tomorrow", "6:00", "2026-11-28", "2026-11-28T06:00:00"}) {
    submission_.deadline = text;
    ExpectInvalid("`" + std::string(text) +
                  "` is no deadline: write 06:00, or 2026-11-28T06:00:00Z");
  }
  submission_.deadline = "26:00";
  ExpectInvalid("26:00");
}

// ---- what comes again

class SeriesSubmissionTest : public SubmissionTest {
 protected:
  SeriesSubmissionTest() {
    submission_.series = "fresh";
    submission_.window = "night";
  }
};

TEST_F(SeriesSubmissionTest, HasNeitherUuidNorDeadlineNorDigests) {
  Model(place_.Write("m.tflite", "a model"));
  submission_.deadline = "06:00";
  const NewJob job = Accepted();
  EXPECT_EQ(job.uuid, "");
  EXPECT_FALSE(job.deadline_ms);
  EXPECT_EQ(ParseJobSpec(job.spec)->networks[0].digest, "") << "as they are that night";
}

TEST_F(SeriesSubmissionTest, NeedsAWindowAndANameThatCannotBeAJobs) {
  submission_.window = "any";
  ExpectInvalid("a job that comes again needs a window: --window NAME");
  submission_.window = "night";
  submission_.series = "two words";
  ExpectInvalid("`two words` cannot name a series");
  // `kiln cancel 7` is about a job.
  submission_.series = "7";
  ExpectInvalid("`7` cannot name a series: it is a job's number");
  submission_.series = "7th";
  EXPECT_TRUE(Check().ok()) << Check().status();
}

TEST_F(SeriesSubmissionTest, ComesAfterNoOtherAndEndsAtATimeOfDay) {
  submission_.after = {1};
  ExpectInvalid("a job that comes again comes after no other");
  submission_.after = {};
  submission_.deadline = "2026-11-28T06:00:00Z";
  ExpectInvalid("the deadline of a job that comes again is a time of day: 06:00");
  submission_.deadline = "26:00";
  ExpectInvalid("26:00");
}

}  // namespace
}  // namespace kiln
