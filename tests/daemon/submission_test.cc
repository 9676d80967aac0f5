#include "daemon/submission.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>

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
  // A table of one layer, and a job of it.
  std::string Write(const std::string& name, const std::string& layer = "dw") const {
    return place_.Write(name, "name,h,w,ic,oc,kh,kw,stride,pad,groups,act\n" + layer +
                                  ",14,14,24,24,3,3,1,1,24,lo\n");
  }
  void Layers(const std::string& path, const std::string& digest = "") {
    submission_.spec = ToJson(JobSpec{.networks = {{.layers = path, .digest = digest}}});
  }
  void Network(const JobNetwork& network) {
    submission_.spec = ToJson(JobSpec{.networks = {network}});
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
  const std::string path = Write("layers.csv");
  Layers(path);
  const std::string digest = *FileDigest(path);
  EXPECT_EQ(digest.size(), 16u);
  EXPECT_EQ(ParseJobSpec(Accepted().spec)->networks[0].digest, digest);
  Layers(path, digest);
  EXPECT_EQ(ParseJobSpec(Accepted().spec)->networks[0].digest, digest);
  Write("layers.csv", "another");
  EXPECT_NE(*FileDigest(path), digest);
}

TEST_F(SubmissionTest, FilesMustBeHereAndTheOnesThatAreMeant) {
  const std::string path = Write("layers.csv");
  Layers(path, "0123456789abcdef");
  ExpectRefused(StatusCode::kFailedPrecondition,
                path + " is another file on the daemon's machine: put the same one there");
  Network({.model = place_.File("gone.tflite")});
  ExpectRefused(StatusCode::kNotFound, "no such file: " + place_.File("gone.tflite"));
  Network({.model = place_.path().string()});
  ExpectInvalid(place_.path().string() + ": not a regular file");
  ASSERT_EQ(mkfifo(place_.File("pipe").c_str(), 0600), 0);
  Network({.model = place_.File("pipe")});
  ExpectInvalid("not a regular file");
  submission_.spec = R"({"networks":[{"model":"m.tflite"}]})";
  ExpectInvalid("absolute path");
}

// In the evening, not when the window opens.
TEST_F(SubmissionTest, NetworksThatCannotBeReadAreRefusedAtOnce) {
  Network({.network = "mobilenet_v9"});
  ExpectRefused(StatusCode::kNotFound, "mobilenet_v9");
  Network({.model = place_.Write("m.tflite", "a model")});
  ExpectInvalid("m.tflite");
  Network({.layers = place_.Write("bad.csv", "name,h\nx,1\n")});
  ExpectInvalid("bad.csv");
  Network({.workloads = {"conv2d/i9/n1"}});
  ExpectInvalid("i9");
  submission_.series = "fresh";
  submission_.window = "night";
  ExpectInvalid("i9");
}

// ---- the same again

// A client that did not hear the answer asks again with its uuid.
class SubmittedAgainTest : public SubmissionTest {
 protected:
  void Keep() {
    known_.id = 7;
    known_.job = Accepted();
  }
  StatusCode Again() const { return CheckSubmittedAgain(submission_, known_).code(); }
  Job known_;
};

TEST_F(SubmittedAgainTest, IsTheSameAlsoWhenTimeAndFilesHaveGoneOn) {
  submission_.deadline = "2026-11-27T13:00:00Z";
  Layers(Write("layers.csv"));
  Keep();
  EXPECT_EQ(Again(), StatusCode::kOk);
  Layers(Write("layers.csv", "another"), *FileDigest(place_.File("layers.csv")));
  EXPECT_EQ(Again(), StatusCode::kOk);
  std::filesystem::remove(place_.File("layers.csv"));
  EXPECT_EQ(Again(), StatusCode::kOk);
}

TEST_F(SubmittedAgainTest, NativeAndTheUsualWindowAreWhatTheyWere) {
  Network({.network = "resnet18"});
  config_.default_window = "night";
  Keep();
  ASSERT_EQ(known_.job.window, "night");
  ASSERT_NE(known_.job.target, "native");
  EXPECT_EQ(Again(), StatusCode::kOk);
  submission_.window = "any";
  EXPECT_EQ(Again(), StatusCode::kAlreadyExists);
}

TEST_F(SubmittedAgainTest, AnotherJobOfTheUuidIsRefused) {
  Keep();
  const Submission good = submission_;
  const std::vector<std::function<void()>> changes{
      [&] { submission_.user = "bob"; },
      [&] { submission_.name = "another"; },
      [&] { submission_.priority = 1; },
      [&] { submission_.after = {3}; },
      [&] { submission_.window = "night"; },
      [&] { submission_.deadline = "06:00"; },
      [&] { Network({.network = "mobilenet_v1"}); },
      [&] { submission_.spec = R"({"networks":[{"network":"resnet18"}],"target":"pixel6"})"; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    submission_ = good;
    EXPECT_EQ(Again(), StatusCode::kOk);
    changes[i]();
    EXPECT_EQ(Again(), StatusCode::kAlreadyExists) << i;
  }
  EXPECT_THAT(Message(CheckSubmittedAgain(submission_, known_)),
              HasSubstr("job 7 was submitted with the uuid u-1, and is another one"));
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
  Layers(Write("layers.csv"));
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
