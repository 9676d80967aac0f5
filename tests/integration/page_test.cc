// The page of a real daemon, over HTTP as it is; what browsers make of it is in tests/browser.

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "tests/integration/programs.h"
#include "tests/telemetry/raw_client.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kDense = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";
constexpr const char* kPageOn = "page on http://";
constexpr const char* kToken = "0123456789abcdef0123456789abcdef";

class PageTest : public KilnTest {
 protected:
  // A daemon whose page may be used for changes, without windows; `more` is of [listen].
  std::unique_ptr<RunningProgram> Start(const std::string& more = "") {
    WriteToken(kToken, 0600);
    Write("night.toml", "database = \"" + scratch_.Path("tuning.db") +
                            "\"\n[listen]\nsocket = \"unix:" + scratch_.Path("d") +
                            "\"\npage = \"127.0.0.1:0\"\n" + more +
                            "\n[[window]]\nname = \"never\"\nfrom = \"00:00\"\nto = "
                            "\"00:00\"\n");
    auto daemon = std::make_unique<RunningProgram>(
        scratch_,
        std::vector<std::string>{"kiln", "daemon", "--config", scratch_.Path("night.toml")});
    // Its log may come later than what it prints.
    const std::string said = kPageOn;
    const auto is_whole = [&] {
      const std::string log = daemon->err();
      const std::size_t at = log.find(said);
      return at != std::string::npos && log.find('\n', at) != std::string::npos;
    };
    EXPECT_TRUE(daemon->WaitUntil(is_whole)) << daemon->err();
    if (!is_whole()) return daemon;
    const std::string log = daemon->err();
    const std::size_t begin = log.find(said) + said.size();
    page_ = log.substr(begin, log.find('/', begin) - begin);
    return daemon;
  }
  std::string TokenLine() const { return "token_file = \"" + scratch_.Path("token") + "\""; }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(scratch_.Path(name)) << text;
  }
  void WriteToken(const std::string& token, mode_t mode) const {
    Write("token", token + "\n");
    ASSERT_EQ(chmod(scratch_.Path("token").c_str(), mode), 0);
  }
  // A job that waits for ever.
  void Submit() const {
    const Outcome outcome =
        RunProgram(scratch_, {"kiln", "submit", "--daemon", "unix:" + scratch_.Path("d"),
                              "--workload", kDense, "--window", "never"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  }
  std::string Job(int id) const {
    return RunProgram(scratch_,
                      {"kiln", "job", std::to_string(id), "--daemon", "unix:" + scratch_.Path("d")})
        .out;
  }

  std::string Get(const std::string& target, const std::string& headers = "") const {
    return Ask(page_, "GET " + target + " HTTP/1.1\r\nHost: " + page_ + "\r\n" + headers + "\r\n");
  }
  std::string Post(const std::string& target, const std::string& headers) const {
    return Ask(page_, "POST " + target + " HTTP/1.1\r\nHost: " + page_ +
                          "\r\nContent-Length: 0\r\n" + headers + "\r\n");
  }
  static std::string Bearer(const std::string& token) {
    return "Authorization: Bearer " + token + "\r\n";
  }

  std::string page_;  // HOST:PORT
};

TEST_F(PageTest, AnswersTheEightQuestionsAndIsAskedAgainForNothing) {
  const auto daemon = Start();
  Submit();
  const std::string answer = Get("/");
  ASSERT_EQ(StatusOf(answer), 200);
  EXPECT_LT(BodyOf(answer).size(), 300'000u);
  for (const char* view :
       {"verdict", "layers", "changes", "failures", "devices", "curves", "queue", "store"}) {
    EXPECT_THAT(answer, AllOf(HasSubstr("<section id=\"" + std::string(view) + "\""),
                              HasSubstr("href=\"#" + std::string(view) + "\"")));
  }
  EXPECT_THAT(answer, AllOf(HasSubstr("never opens"), HasSubstr("No trials yet")));
  EXPECT_THAT(HeaderOf(answer, "Content-Security-Policy"),
              AllOf(HasSubstr("default-src 'none'"), HasSubstr("frame-ancestors 'none'")));
  const std::string again = Get("/", "If-None-Match: " + HeaderOf(answer, "ETag") + "\r\n");
  EXPECT_EQ(StatusOf(again), 304);
  EXPECT_EQ(BodyOf(again), "");
  EXPECT_THAT(Get("/page.js"), HasSubstr("text/javascript"));
}

TEST_F(PageTest, ManyThatLookAtOnceGetTheSame) {
  const auto daemon = Start();
  std::vector<std::string> answers(12);
  std::vector<std::thread> readers;
  for (std::string& answer : answers) readers.emplace_back([&] { answer = Get("/?since=8h"); });
  for (std::thread& reader : readers) reader.join();
  for (const std::string& answer : answers) {
    EXPECT_EQ(StatusOf(answer), 200);
    EXPECT_EQ(HeaderOf(answer, "ETag"), HeaderOf(answers.front(), "ETag"));
  }
}

TEST_F(PageTest, WhatCannotBeShownIsSaidInWords) {
  const auto daemon = Start();
  EXPECT_THAT(Get("/?since=yesterday"), AllOf(HasSubstr("400"), HasSubstr("is not a time")));
  EXPECT_THAT(Get("/?network=%3Cscript%3E"),
              AllOf(HasSubstr("400"), HasSubstr("&lt;script&gt;"), Not(HasSubstr("<script>"))));
  EXPECT_EQ(StatusOf(Get("/?network=mobilenet_v1&since=7d")), 200);
  EXPECT_EQ(StatusOf(Get("/elsewhere")), 404);
  EXPECT_EQ(StatusOf(Post("/", "")), 405);
}

TEST_F(PageTest, ChangesNeedTheTokenAndComeFromThisPage) {
  const auto daemon = Start(TokenLine());
  Submit();
  EXPECT_EQ(StatusOf(Post("/jobs/1/pause", "")), 401);
  EXPECT_EQ(StatusOf(Post("/jobs/1/pause", Bearer("wrong"))), 401);
  EXPECT_EQ(StatusOf(Post("/jobs/1/pause", Bearer(kToken + std::string("0")))), 401);
  EXPECT_EQ(StatusOf(Post("/jobs/1/pause", "Cookie: token=" + std::string(kToken) + "\r\n")), 401);
  for (const char* elsewhere :
       {"Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n"}) {
    EXPECT_EQ(StatusOf(Post("/jobs/1/pause", Bearer(kToken) + elsewhere)), 403) << elsewhere;
  }
  EXPECT_EQ(StatusOf(Get("/jobs/1/pause", Bearer(kToken))), 405) << "no link changes anything";
  EXPECT_THAT(Job(1), HasSubstr("queued")) << "nothing was changed";

  EXPECT_EQ(StatusOf(Post("/jobs/1/pause", Bearer(kToken) + "Sec-Fetch-Site: same-origin\r\n")),
            200);
  EXPECT_THAT(Job(1), HasSubstr("held"));
  EXPECT_THAT(Get("/"), HasSubstr("data-wish=\"resume\""));
  EXPECT_EQ(StatusOf(Post("/jobs/1/resume", Bearer(kToken) + "Origin: http://" + page_ + "\r\n")),
            200);
  EXPECT_THAT(Job(1), Not(HasSubstr("held")));
  EXPECT_EQ(StatusOf(Post("/jobs/1/cancel", Bearer(kToken))), 200);
  EXPECT_THAT(Job(1), HasSubstr("cancelled"));
  EXPECT_EQ(StatusOf(Post("/jobs/1/pause", Bearer(kToken))), 409) << "it has ended";
  EXPECT_EQ(StatusOf(Post("/jobs/99/pause", Bearer(kToken))), 404);
  for (const char* path : {"/jobs/1/explode", "/jobs/x/pause", "/jobs/1/pause/", "/jobs//pause",
                           "/jobs/99999999999999999999/pause"}) {
    EXPECT_EQ(StatusOf(Post(path, Bearer(kToken))), 404) << path;
  }
}

TEST_F(PageTest, WithoutATokenItIsForReading) {
  const auto daemon = Start();
  Submit();
  EXPECT_EQ(StatusOf(Post("/jobs/1/cancel", Bearer(kToken))), 403);
  EXPECT_THAT(Get("/"), Not(HasSubstr("id=\"unlock\"")));
  EXPECT_THAT(Job(1), HasSubstr("queued"));
}

TEST_F(PageTest, NamesOfOtherSitesThatLeadHereAreRefused) {
  const auto daemon = Start();
  const std::string answer = Ask(page_, "GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n");
  EXPECT_GE(StatusOf(answer), 400);
  EXPECT_THAT(answer, Not(HasSubstr("<section")));
}

TEST_F(PageTest, TokenThatIsNoneKeepsTheDaemonFromStarting) {
  struct Case {
    const char* token;
    mode_t mode;
    const char* words;
  };
  for (const Case& each : {Case{kToken, 0644, "chmod 600"}, Case{"short", 0600, "is no token"},
                           Case{"two words that are long enough", 0600, "is no token"}}) {
    Write("night.toml", "database = \"" + scratch_.Path("tuning.db") +
                            "\"\n[listen]\nsocket = \"unix:" + scratch_.Path("d") +
                            "\"\npage = \"127.0.0.1:0\"\n" + TokenLine() + "\n");
    WriteToken(each.token, each.mode);
    const Outcome outcome =
        RunProgram(scratch_, {"kiln", "daemon", "--config", scratch_.Path("night.toml")});
    EXPECT_NE(outcome.status, 0);
    EXPECT_THAT(outcome.err, HasSubstr(each.words));
  }
}

TEST_F(PageTest, MetricsMayHaveTheSameAddress) {
  const auto daemon = Start("metrics = \"127.0.0.1:0\"");
  EXPECT_THAT(Get("/metrics"), HasSubstr("kiln_jobs"));
}

TEST_F(PageTest, DatabaseThatANewerKilnHasMadeIsSaid) {
  const auto daemon = Start();
  ASSERT_EQ(StatusOf(Get("/?since=7d")), 200) << "it was well before";
  SQLite::Database(scratch_.Path("tuning.db"), SQLite::OPEN_READWRITE)
      .exec("PRAGMA user_version = 1000");
  const std::string answer = Get("/");
  EXPECT_EQ(StatusOf(answer), 503);
  EXPECT_THAT(answer, HasSubstr("was written by a newer Kiln"));
}

}  // namespace
}  // namespace kiln
