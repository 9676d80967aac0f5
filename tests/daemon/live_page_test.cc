// When a page is made and when it is not; what a browser gets is in tests/integration/page_test.cc.

#include "daemon/live_page.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

#include "tests/base/temporary_directory.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// Set by the test, and read on two threads. It may go on by itself, at each look.
class SharedClock final : public Clock {
 public:
  SteadyTime Now() const override {
    return SteadyTime(milliseconds(now_ms_.fetch_add(step_ms_) + step_ms_));
  }
  WallTime Today() const override { return FromUnixMs(1'796'000'000'000 + now_ms_); }
  void Pass(milliseconds time) { now_ms_ += time.count(); }
  void GoOnAtEachLook(milliseconds step) { step_ms_ = step.count(); }

 private:
  mutable std::atomic<std::int64_t> now_ms_{3'600'000};
  std::atomic<std::int64_t> step_ms_{0};
};

// Answers, as they come from either thread.
class Answers {
 public:
  HttpRespond Next() {
    return [this](HttpResponse response) {
      const std::lock_guard lock(mutex_);
      responses_.push_back(std::move(response));
      changed_.notify_all();
    };
  }
  std::vector<HttpResponse> Await(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, seconds(30), [&] { return responses_.size() >= count; }));
    return responses_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpResponse> responses_;
};

class LivePageMakingTest : public testing::Test {
 protected:
  LivePageMakingTest() {
    // The daemon has made it by then.
    EXPECT_TRUE(OpenSqliteJobStore(database_, OpenMode::kReadWrite).ok());
  }

  void Start() {
    page_ = NewLivePage({.clock = clock_,
                         .database = database_,
                         .registry = registry_,
                         .token = "a token of the tests",
                         .queue =
                             [this] {
                               ++looks_;
                               return queue_;
                             },
                         .wish = [this](std::int64_t, JobWish) { return wish_; },
                         .last_backup = [] { return std::nullopt; },
                         .farm = [this] { return farm_; }});
    handler_ = RouteHttp(page_->routes());
  }
  HttpResponse Get(const std::string& query = "", const std::string& known = "") {
    Answers answers;
    HttpRequest request{.method = "GET", .path = "/", .query = query};
    if (!known.empty()) request.headers["if-none-match"] = known;
    handler_(request, answers.Next());
    return answers.Await(1).front();
  }
  int Post(const std::string& path) {
    Answers answers;
    HttpRequest request{.method = "POST", .path = path};
    request.headers["authorization"] = "Bearer a token of the tests";
    handler_(request, answers.Next());
    return answers.Await(1).front().status;
  }
  static std::string ETag(const HttpResponse& response) {
    for (const auto& [name, value] : response.headers) {
      if (name == "ETag") return value;
    }
    return "";
  }

  const TemporaryDirectory place_;
  const std::string database_ = place_.File("tuning.db");
  SharedClock clock_;
  TemplateRegistry registry_;
  int looks_ = 0;
  StatusOr<QueueView> queue_ = QueueView{.daemon = "box"};
  Status wish_;
  std::function<FarmView()> farm_;
  std::unique_ptr<LivePage> page_;
  HttpHandler handler_;
};

TEST_F(LivePageMakingTest, IsMadeAgainAfterFiveSecondsAndNotBefore) {
  Start();
  const std::string first = ETag(Get());
  EXPECT_EQ(looks_, 1);
  clock_.Pass(milliseconds(4900));
  EXPECT_EQ(Get("", first).status, 304);
  EXPECT_EQ(looks_, 1) << "made anew while it was fresh";
  clock_.Pass(milliseconds(200));
  EXPECT_EQ(Get("", first).status, 200) << "it says another time";
  EXPECT_EQ(looks_, 2);
}

TEST_F(LivePageMakingTest, RestsFiftyTimesAsLongAsItTook) {
  Start();
  clock_.GoOnAtEachLook(milliseconds(200));
  const std::string first = ETag(Get());
  clock_.GoOnAtEachLook(milliseconds(0));
  clock_.Pass(seconds(9));
  EXPECT_EQ(Get("", first).status, 304);
  clock_.Pass(seconds(60));
  EXPECT_EQ(Get("", first).status, 200);
}

TEST_F(LivePageMakingTest, RestsForAMinuteAtMost) {
  Start();
  clock_.GoOnAtEachLook(seconds(20));
  const std::string first = ETag(Get());
  clock_.GoOnAtEachLook(milliseconds(0));
  clock_.Pass(seconds(59));
  EXPECT_EQ(Get("", first).status, 304);
  clock_.Pass(seconds(2));
  EXPECT_EQ(Get("", first).status, 200);
}

TEST_F(LivePageMakingTest, PagesOfDifferentChoicesAreDifferent) {
  Start();
  EXPECT_NE(ETag(Get("since=8h")), ETag(Get("since=7d")));
  EXPECT_EQ(looks_, 2);
  EXPECT_EQ(Get("since=tomorrow").status, 400);
  EXPECT_EQ(Get("network=nothing").status, 400);
  EXPECT_EQ(looks_, 2);
}

TEST_F(LivePageMakingTest, ChangeIsSeenAtOnce) {
  Start();
  Get();
  EXPECT_EQ(Post("/jobs/1/pause"), 200);
  Get();
  EXPECT_EQ(looks_, 2);
  wish_ = Error(StatusCode::kUnavailable, "locked");
  EXPECT_EQ(Post("/jobs/1/pause"), 503);
}

TEST_F(LivePageMakingTest, QueueThatCannotBeReadIsATroubleOnThePage) {
  queue_ = Error(StatusCode::kUnavailable, "the database is locked");
  Start();
  const HttpResponse page = Get();
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr("the queue cannot be read: the database is locked"));
}

TEST_F(LivePageMakingTest, WhoeverComesWhileItIsMadeWaitsForTheSame) {
  std::mutex mutex;
  std::condition_variable go;
  bool may_go = false;
  farm_ = [&] {
    std::unique_lock lock(mutex);
    go.wait(lock, [&] { return may_go; });
    return FarmView{.tracker = "farm"};
  };
  Start();
  Answers answers;
  const HttpRequest request{.method = "GET", .path = "/"};
  for (int i = 0; i < 100; ++i) handler_(request, answers.Next());
  EXPECT_EQ(looks_, 1);
  {
    const std::lock_guard lock(mutex);
    may_go = true;
  }
  go.notify_all();
  std::map<int, int> statuses;
  for (const HttpResponse& response : answers.Await(100)) ++statuses[response.status];
  EXPECT_EQ(statuses, (std::map<int, int>{{200, 64}, {503, 36}})) << "so many may wait";
  EXPECT_EQ(Get().status, 200);
}

TEST_F(LivePageMakingTest, EndsWhileItIsMade) {
  Start();
  Answers answers;
  handler_({.method = "GET", .path = "/"}, answers.Next());
  page_.reset();
}

TEST(ReadTokenTest, IsTheOnlyLineOfAFileOfItsOwners) {
  const TemporaryDirectory place;
  const auto read = [&](const std::string& text, int mode) {
    place.Write("token", text);
    EXPECT_EQ(chmod(place.File("token").c_str(), static_cast<mode_t>(mode)), 0);
    const StatusOr<std::string> token = ReadToken(place.File("token"));
    return token.ok() ? *token : Message(token.status());
  };
  EXPECT_EQ(read("01234567890123456789\n", 0600), "01234567890123456789");
  EXPECT_EQ(read("01234567890123456789", 0400), "01234567890123456789");
  EXPECT_THAT(read("01234567890123456789\n", 0640), HasSubstr("chmod 600"));
  for (const char* bad : {"", "0123456789012345678\n", "0123456789 0123456789\n",
                          "01234567890123456789\n\n", "01234567890123456789\nmore\n"}) {
    EXPECT_THAT(read(bad, 0600), HasSubstr("is no token")) << bad;
  }
  EXPECT_THAT(Message(ReadToken(place.File("none")).status()), HasSubstr("none"));
}

}  // namespace
}  // namespace kiln
