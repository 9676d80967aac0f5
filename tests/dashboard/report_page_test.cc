#include "dashboard/report_page.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/dashboard/scene.h"
#include "tests/dashboard/xml_reader.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::size_t kMostBytes = 300'000;

std::set<std::string> AllOfIt(const std::string& page, const std::string& pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator it(page.begin(), page.end(), regex), end; it != end; ++it) {
    found.insert((*it)[1]);
  }
  return found;
}

void ExpectSoundPage(const std::string& page) {
  EXPECT_EQ(FaultOfPage(page), "");
  EXPECT_LT(page.size(), kMostBytes);
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("http:")),
                          Not(HasSubstr("https:")), Not(HasSubstr("url("))));
  const auto ids = AllOfIt(page, " id=\"([^\"]*)\"");
  for (const std::string& link : AllOfIt(page, " href=\"#([^\"]*)\"")) {
    EXPECT_TRUE(ids.contains(link)) << link;
  }
  for (const std::string& names : AllOfIt(page, " aria-labelledby=\"([^\"]*)\"")) {
    std::istringstream words(names);
    for (std::string word; words >> word;) EXPECT_TRUE(ids.contains(word)) << word;
  }
}

TEST(ReportPageTest, EmptyStoreIsAPageOfWords) {
  const Scene scene;
  const std::string page = RenderReport(scene.Read());
  ExpectSoundPage(page);
  for (const char* words :
       {"No trials yet: `kiln tune", "No layers yet", "nothing to lock", "None failed, ever",
        "No device has measured anything yet", "No curves yet", "Nobody has written trials yet"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
}

TEST(ReportPageTest, VerdictComesFirstAndEachViewHasALink) {
  Scene scene;
  scene.Add(scene.Layer(), 0, 1000);
  const std::string page = RenderReport(scene.Read());
  ExpectSoundPage(page);
  std::size_t before = page.find("<main>");
  for (const std::string view :
       {"verdict", "layers", "changes", "failures", "devices", "curves", "store"}) {
    EXPECT_THAT(page, HasSubstr("href=\"#" + view + "\""));
    const std::size_t at = page.find("<section id=\"" + view + "\"");
    ASSERT_NE(at, std::string::npos) << view;
    EXPECT_GT(at, before);
    before = at;
  }
  EXPECT_LT(page.find("class=\"headline\""), page.find("<section id=\"layers\""));
}

TEST(ReportPageTest, TablesScrollInRegionsThatKeysReach) {
  Scene scene;
  scene.Add(scene.Layer(), 0, 1000);
  const std::string page = RenderReport(scene.Read());
  std::size_t tables = 0;
  for (std::size_t at = 0; (at = page.find("<table>", at)) != std::string::npos; ++at) {
    ++tables;
    const std::size_t region =
        page.rfind("<div class=\"scroll\" role=\"region\" tabindex=\"0\"", at);
    ASSERT_NE(region, std::string::npos);
    EXPECT_LT(at - region, 120u) << "not around this table";
    EXPECT_EQ(page.compare(at + 7, 8, "<caption"), 0);
  }
  EXPECT_GE(tables, 5u);
}

TEST(ReportPageTest, PolicyForbidsAllButItsOwnStyle) {
  const std::string page = RenderReport(Scene().Read());
  EXPECT_THAT(page, AllOf(HasSubstr("content=\"default-src &#39;none&#39;; style-src "
                                    "&#39;unsafe-inline&#39;\""),
                          HasSubstr("<meta name=\"color-scheme\" content=\"light dark\">"),
                          HasSubstr("<meta name=\"viewport\""), HasSubstr("<html lang=\"en\">")));
}

TEST(ReportPageTest, NightThatFailedEntirelyShowsWhatFailed) {
  Scene scene;
  for (std::uint64_t i = 0; i < 5; ++i) {
    scene.AddFailure(scene.Layer(), i,
                     {Stage::kRun, FailureKind::kRuntimeError, "<b>SIGSEGV</b> & more"});
  }
  const std::string page = RenderReport(scene.Read());
  ExpectSoundPage(page);
  EXPECT_THAT(page, AllOf(HasSubstr("Nothing works yet"), HasSubstr("run: RUNTIME_ERROR"),
                          HasSubstr("&lt;b&gt;SIGSEGV&lt;/b&gt; &amp; more"),
                          HasSubstr("kiln verify --workload"), HasSubstr("nothing works")));
}

TEST(ReportPageTest, FiveHundredLayersAreGroupedAndStayBelowTheLimit) {
  Scene scene;
  for (std::int32_t i = 1; i <= 500; ++i) {
    const Task task = scene.Layer(16 * i);
    scene.Add(task, 0, 1000 + i);
    scene.Add(task, 2, 500 + i);
    scene.AddFailure(task, 3,
                     {Stage::kRun, FailureKind::kRuntimeError,
                      "a message of its own, number " + std::to_string(i)});
  }
  const std::string page = RenderReport(scene.Read());
  ExpectSoundPage(page);
  EXPECT_THAT(page, AllOf(HasSubstr("Left out: 420 layers"), HasSubstr("`kiln best --all`"),
                          HasSubstr("Left out: 440 more"), HasSubstr("Left out: 460 kinds"),
                          HasSubstr("Left out: 476 curves")));
}

TEST(ReportPageTest, HostileWordsOfTheStoreStayWords) {
  Scene scene;
  const Task task = scene.Layer();
  Trial trial = OkTrial(task, 0, 1000, "hostile");
  trial.device = "</td><script>x</script>\xFF";
  ASSERT_TRUE(scene.store().Append(task, CacheState::kHot, std::vector<Trial>{trial}).ok());
  scene.LookAt({{task, 1}});
  scene.scope().network->name = "\"><img src=x>";
  ExpectSoundPage(RenderReport(scene.Read()));
}

// ---- colours

using Colours = std::map<std::string, std::string>;
Colours ColoursIn(const std::string& block) {
  const std::regex colour("--([a-z]+):#([0-9a-f]{6})");
  Colours colours;
  for (std::sregex_iterator it(block.begin(), block.end(), colour), end; it != end; ++it) {
    colours[(*it)[1]] = (*it)[2];
  }
  return colours;
}

// WCAG 2.1: relative luminance and contrast.
double Luminance(const std::string& hex) {
  double sum = 0;
  const double weights[] = {0.2126, 0.7152, 0.0722};
  for (std::size_t i = 0; i < 3; ++i) {
    const double c = std::stoi(hex.substr(2 * i, 2), nullptr, 16) / 255.0;
    sum += weights[i] * (c <= 0.03928 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4));
  }
  return sum;
}
double Contrast(const std::string& a, const std::string& b) {
  const double x = Luminance(a), y = Luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

TEST(ReportPageTest, TextIsReadableInLightAndDark) {
  const std::string page = RenderReport(Scene().Read());
  const std::size_t dark = page.find("prefers-color-scheme:dark");
  ASSERT_NE(dark, std::string::npos);
  for (const std::string& block :
       {page.substr(0, dark), page.substr(dark, page.find("}}", dark) - dark)}) {
    Colours colours = ColoursIn(block);
    ASSERT_EQ(colours.size(), 10u);
    for (const std::string text : {"text", "soft", "link", "good", "bad"}) {
      for (const std::string ground : {"page", "panel"}) {
        EXPECT_GE(Contrast(colours[text], colours[ground]), 4.5) << text << " on " << ground;
      }
    }
    // What is drawn and not read: 3 to 1.
    for (const std::string drawn : {"curve", "bar", "soft"}) {
      EXPECT_GE(Contrast(colours[drawn], colours["panel"]), 3) << drawn;
    }
  }
}

LiveParts Evening() {
  LiveParts live{.has_token = true, .networks = {"mobilenet_v1"}, .network = "", .since = "8h"};
  live.queue.daemon = "box";
  live.queue.local = "Fri 22:00 CET";
  live.queue.windows = {{"night", "open until Sat 06:00 CET (in 8h)", true}};
  live.queue.waiting = {{.id = 7,
                         .name = "<b>nightly</b>",
                         .user = "ann",
                         .state = "running",
                         .why = "3 layers left",
                         .done = "Sat 02:00 CET (from its pace)",
                         .since_ms = kTonight,
                         .wishes = {"pause", "cancel"}}};
  live.queue.ended = {{.id = 6, .name = "old", .state = "failed", .why = "no such model"}};
  live.farm = FarmView{.tracker = "farm:9190",
                       .rows = {{"pixel-1", "pixel6", "leased", "ann@box:1", ""}},
                       .waiting = 2};
  return live;
}

TEST(LivePageTest, HasTheQueueAndTheFarmAndLoadsOnlyItsOwnScript) {
  const std::string page = RenderLivePage(Scene().Read(), Evening());
  EXPECT_EQ(FaultOfPage(page), "");
  EXPECT_EQ(AllOfIt(page, " src=\"([^\"]*)\""), std::set<std::string>{"/page.js"});
  EXPECT_THAT(page, AllOf(Not(HasSubstr("http:")), Not(HasSubstr("https:")),
                          Not(HasSubstr("onclick")), HasSubstr("href=\"#queue\"")));
  for (const char* words : {"open until Sat 06:00 CET", "&lt;b&gt;nightly&lt;/b&gt;",
                            "3 layers left", "Sat 02:00 CET (from its pace)", "no such model",
                            "pixel-1", "ann@box:1", "2 clients waiting"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
  EXPECT_EQ(AllOfIt(page, "data-wish=\"([^\"]*)\""), (std::set<std::string>{"cancel", "pause"}));
}

TEST(LivePageTest, SaysWhatThereIsNot) {
  LiveParts live;
  live.farm = FarmView{.tracker = "farm:9190", .trouble = "nobody answers"};
  live.queue.troubles = {"the database is locked"};
  const std::string page = RenderLivePage(Scene().Read(), live);
  for (const char* words :
       {"No windows: jobs run at any time", "No job waits or runs", "No job has ended yet",
        "farm:9190 says nothing now: nobody answers", "the database is locked"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
  EXPECT_THAT(page, Not(HasSubstr("id=\"unlock\""))) << "without a token nothing can be changed";
}

TEST(LivePageTest, ReportHasNothingOfIt) {
  EXPECT_THAT(RenderReport(Scene().Read()),
              AllOf(Not(HasSubstr("id=\"queue\"")), Not(HasSubstr("<form")),
                    Not(HasSubstr("<button")), HasSubstr("only a tracker knows it")));
}

}  // namespace
}  // namespace kiln
