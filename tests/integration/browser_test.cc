// The pages in a real browser: tests/browser has what is looked at, this makes what there is to see.
// Pictures are kept in browser/pictures of the build.

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/made_night.h"
#include "tests/integration/programs.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kDense = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";
constexpr const char* kToken = "0123456789abcdef0123456789abcdef";
constexpr const char* kScripts = KILN_SOURCE_DIR "/tests/browser/";
constexpr std::chrono::seconds kScriptPatience{420};

std::int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// "22:00", local: so many hours from this one.
std::string HourFromNow(int hours) {
  const std::time_t now = std::time(nullptr) + hours * 3600;
  std::tm local{};
  localtime_r(&now, &local);
  char text[8];
  std::strftime(text, sizeof text, "%H:00", &local);
  return text;
}

std::string BrowserDirectory() {
  return fs::path(ProgramPath("../browser")).lexically_normal().string();
}

// Why there is no browser; empty: there is one. Installs what the scripts need, once.
std::string WhyNoBrowser() {
  FILE* install =
      popen((std::string(kScripts) + "install '" + BrowserDirectory() + "' 2>&1").c_str(), "re");
  if (install == nullptr) return "tests/browser/install cannot be started";
  std::string words;
  char buffer[512];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, install)) > 0;) words.append(buffer, n);
  const int status = pclose(install);
  return status == 0 ? "" : words.empty() ? "tests/browser/install failed" : words;
}

class BrowserTest : public KilnTest {
 protected:
  void SetUp() override {
    const std::string why = WhyNoBrowser();
    if (!why.empty()) {
      GTEST_SKIP() << "SKIPPED, nobody looks at the pages in a browser: " << why;
    }
  }

  // night.toml: a page on this port for changes with kToken, and a window that is closed now.
  void Configure(const std::string& port) const {
    scratch_.Write("token", std::string(kToken) + "\n");
    ASSERT_EQ(chmod(scratch_.Path("token").c_str(), 0600), 0);
    scratch_.Write("night.toml",
                   "name = \"night-box\"\ndatabase = \"" + scratch_.database() +
                       "\"\n[listen]\nsocket = \"unix:" + scratch_.Path("d") +
                       "\"\npage = \"127.0.0.1:" + port + "\"\ntoken_file = \"" +
                       scratch_.Path("token") + "\"\n[[window]]\nname = \"night\"\nfrom = \"" +
                       HourFromNow(14) + "\"\nto = \"" + HourFromNow(22) + "\"\n" + more_);
  }
  // Starts it, or another one after it at the same address.
  void StartDaemon() {
    daemon_.reset();
    Configure(page_.empty() ? "0" : page_.substr(page_.rfind(':') + 1));
    daemon_ = std::make_unique<RunningProgram>(
        scratch_,
        std::vector<std::string>{"kiln", "daemon", "--config", scratch_.Path("night.toml")});
    const std::string said = "page on http://";
    std::string log;
    ASSERT_TRUE(daemon_->WaitUntil([&] {
      log = daemon_->err();
      const std::size_t at = log.find(said);
      return at != std::string::npos && log.find('\n', at) != std::string::npos;
    })) << log;
    const std::size_t begin = log.find(said) + std::string("page on ").size();
    page_ = log.substr(begin, log.find('/', begin + std::string("http://").size()) - begin);
  }
  void Submit(std::vector<std::string> options) const {
    options.insert(options.begin(), {"submit", "--daemon", "unix:" + scratch_.Path("d")});
    ExpectKiln(0, options);
  }
  std::string Report() const {
    const std::string file = scratch_.Path("report.html");
    ExpectKiln(0, {"report", "--since", "9h", "--out", file});
    return file;
  }

  // Runs a script of tests/browser with such settings in its environment, and does what it asks for
  // with lines "ask: NAME", in this order.
  using Settings = std::vector<std::pair<std::string, std::string>>;
  using Wishes = std::vector<std::pair<std::string, std::function<void()>>>;
  void RunScript(const std::string& script, const std::string& page, const Settings& settings = {},
                 const Wishes& wishes = {}) const {
    std::vector<std::string> command = {"/usr/bin/env",
                                        "KILN_PAGE=" + page,
                                        "KILN_BROWSER_PACKAGES=" + BrowserDirectory(),
                                        "KILN_PICTURES=" + BrowserDirectory() + "/pictures",
                                        "KILN=" + ProgramPath("kiln"),
                                        "KILN_DAEMON=unix:" + scratch_.Path("d"),
                                        "KILN_TOKEN=" + std::string(kToken)};
    for (const auto& [name, value] : settings) command.push_back(name + "=" + value);
    command.insert(command.end(), {"node", kScripts + script});
    RunningProgram node(scratch_, command);
    for (const auto& [name, wish] : wishes) {
      const std::string line = "ask: " + name + "\n";
      const auto asks = [&] { return node.out().find(line) != std::string::npos; };
      if (node.WaitUntil(asks, kScriptPatience)) wish();
    }
    const Outcome outcome = node.Wait(kScriptPatience);
    EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  }

  std::unique_ptr<RunningProgram> daemon_;
  std::string page_;  // http://HOST:PORT
  std::string more_;  // of night.toml
};

TEST_F(BrowserTest, MorningAfterAGoodNight) {
  MakeGoodNight(scratch_.database(), NowMs());
  StartDaemon();
  Submit({"--network", "mobilenet_v2", "--target", "rasp4b", "--window", "night", "--trials",
          "4000", "--name", "mobilenet_v2 for the camera"});
  Submit({"--network", "resnet18", "--target", "rasp4b", "--window", "night", "--after", "3"});
  RunScript("views.mjs", page_ + "/?network=mobilenet_v1&since=8h",
            {{"KILN_NAME", "night"}, {"KILN_QUESTIONS", "all"}});
}

TEST_F(BrowserTest, SavedReportWithoutNetworkAndScripts) {
  MakeGoodNight(scratch_.database(), NowMs());
  RunScript("views.mjs", "file://" + Report(),
            {{"KILN_NAME", "report"}, {"KILN_SCRIPTS", "off"}, {"KILN_NETWORK", "off"}});
}

TEST_F(BrowserTest, PageWithoutScripts) {
  MakeGoodNight(scratch_.database(), NowMs());
  StartDaemon();
  RunScript("views.mjs", page_ + "/", {{"KILN_NAME", "no-scripts"}, {"KILN_SCRIPTS", "off"}});
  RunScript("without_scripts.mjs", page_);
}

TEST_F(BrowserTest, EmptyDatabaseHasWords) {
  StartDaemon();
  RunScript("views.mjs", page_ + "/",
            {{"KILN_NAME", "empty"},
             {"KILN_WORDS",
              "No trials yet\nNo layers yet\nnothing to lock\nNone failed, ever\nNo device has "
              "measured anything yet\nNo curves yet\nNo job waits or runs\nNo job has ended "
              "yet\nNobody has written trials yet"}});
}

TEST_F(BrowserTest, OneTaskHasWords) {
  MakeOneTask(scratch_.database(), NowMs());
  StartDaemon();
  RunScript("views.mjs", page_ + "/", {{"KILN_NAME", "one-task"}, {"KILN_WORDS", "3 trials"}});
}

TEST_F(BrowserTest, NightThatFailedEntirelyHasWords) {
  MakeFailedNight(scratch_.database(), NowMs());
  StartDaemon();
  RunScript("views.mjs", page_ + "/?network=mobilenet_v1",
            {{"KILN_NAME", "failed"}, {"KILN_WORDS", "Nothing works yet\nverify: WRONG_RESULT"}});
}

TEST_F(BrowserTest, FiveHundredTasksStaySmall) {
  MakeManyTasks(scratch_.database(), NowMs(), 500);
  StartDaemon();
  EXPECT_LT(fs::file_size(Report()), 300'000u);
  RunScript("views.mjs", page_ + "/",
            {{"KILN_NAME", "500-tasks"}, {"KILN_WORDS", "Left out: 420 layers"}});
}

TEST_F(BrowserTest, DatabaseOfANewerKilnHasWords) {
  StartDaemon();
  SQLite::Database(scratch_.database(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 1000");
  RunScript("views.mjs", page_ + "/",
            {{"KILN_NAME", "newer"},
             {"KILN_STATUS", "503"},
             {"KILN_WORDS", "The database cannot be read now\nnewer Kiln"}});
}

// Of little, since a page rests fifty times as long as it took to be made.
TEST_F(BrowserTest, LivePageKeepsWhatItsReaderIsAt) {
  MakeOneTask(scratch_.database(), NowMs());
  StartDaemon();
  Submit({"--network", "mobilenet_v2", "--target", "rasp4b", "--window", "night"});
  RunScript("live.mjs", page_, {},
            {{"kill", [this] { daemon_.reset(); }},
             {"start", [this] { StartDaemon(); }},
             {"newer", [this] {
                SQLite::Database(scratch_.database(), SQLite::OPEN_READWRITE)
                    .exec("PRAGMA user_version = 1000");
              }}});
}

// A night that is under way on a farm: its devices are this machine, twice.
TEST_F(BrowserTest, PicturesOfTheReadme) {
  MakeGoodNight(scratch_.database(), NowMs());
  const RunningProgram tracker(
      scratch_, {"kiln-tracker", "--listen", "127.0.0.1:0", "--state", scratch_.Path("state")});
  const std::string farm = tracker.Address();
  std::vector<std::unique_ptr<RunningProgram>> servers;
  for (const char* name : {"bench-1", "bench-2"}) {
    servers.push_back(std::make_unique<RunningProgram>(
        scratch_, std::vector<std::string>{"kiln-server", "--tracker", farm, "--target", "native",
                                           "--name", name}));
    ASSERT_FALSE(servers.back()->Address().empty());
  }
  more_ = "[farm]\ntracker = \"" + farm + "\"\n";
  StartDaemon();
  Submit({"--network", "resnet18", "--target", "rasp4b", "--window", "night", "--trials", "2000"});
  RunScript("pictures.mjs", page_, {{"KILN_FARM", farm}, {"KILN_DATABASE", scratch_.database()}},
            {{"work", [this] {
                Submit({"--network", "mobilenet_v2", "--window", "any", "--trials", "4000",
                        "--name", "mobilenet_v2 nightly"});
              }}});
}

TEST_F(BrowserTest, ChangesByKeyboardAndNeverFromAnotherSite) {
  StartDaemon();
  for (const char* name : {"first", "second"}) {
    Submit({"--workload", kDense, "--window", "night", "--name", name});
  }
  RunScript("changes.mjs", page_);
}

}  // namespace
}  // namespace kiln
