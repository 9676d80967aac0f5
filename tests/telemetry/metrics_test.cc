#include "telemetry/metrics.h"

#include <gmock/gmock.h>

#include <limits>
#include <thread>
#include <vector>

#include "tests/telemetry/exposition.h"
#include "tests/telemetry/http_fixture.h"

namespace kiln {
namespace {

using testing::HasSubstr;

class MetricsTest : public testing::Test {
 protected:
  static std::unique_ptr<Metrics> New(MetricSource source) {
    auto metrics = NewMetrics(source);
    EXPECT_TRUE(metrics.ok()) << metrics.status();
    return *std::move(metrics);
  }
  kiln::Scrape Scrape() { return ScrapeOf(*metrics_); }
  static kiln::Scrape ScrapeOf(Metrics& metrics) {
    const std::string text = metrics.Scrape();
    auto scrape = ParseExposition(text);
    EXPECT_TRUE(scrape.ok()) << scrape.status() << "\n" << text;
    return scrape.ok() ? *std::move(scrape) : kiln::Scrape();
  }
  double Value(const std::string& series) { return ValueOf(Scrape(), series); }

  std::unique_ptr<Metrics> metrics_ = New(MetricSource::kDaemon);
};

TEST_F(MetricsTest, EachProgramSaysAllItsFamiliesAndNoOthers) {
  for (const auto source : {MetricSource::kDaemon, MetricSource::kTracker, MetricSource::kServer}) {
    const kiln::Scrape scrape = ScrapeOf(*New(source));
    for (const MetricFamily& family : MetricCatalogue()) {
      const auto found = scrape.find(family.name);
      ASSERT_EQ(found != scrape.end(), Exports(source, family)) << family.name;
      if (found == scrape.end()) continue;
      EXPECT_EQ(found->second.type, Name(family.type));
      EXPECT_EQ(found->second.help, family.help);
    }
  }
}

TEST_F(MetricsTest, SaysWhatIsBuilt) {
  const kiln::Scrape scrape = Scrape();
  const auto& series = scrape.at("kiln_build_info").series;
  ASSERT_EQ(series.size(), 1U);
  EXPECT_THAT(series.begin()->first, HasSubstr("version=\"0."));
  EXPECT_THAT(series.begin()->first, HasSubstr("compiler=\""));
  EXPECT_EQ(series.begin()->second, 1);
}

TEST_F(MetricsTest, KnownLabelsBeginAtZero) {
  EXPECT_EQ(Value("kiln_jobs{state=\"paused\"}"), 0);
  EXPECT_EQ(Value("kiln_job_transitions_total{to=\"failed\"}"), 0);
  EXPECT_EQ(Value("kiln_store_append_seconds_count"), 0);
  EXPECT_EQ(Value("kiln_trial_stage_seconds_count{stage=\"run\"}"), 0);
}

TEST_F(MetricsTest, AGaugeThatNobodyHasSetHasNoValue) {
  EXPECT_EQ(Value("kiln_backup_last_success_timestamp_seconds"), -1);
  metrics_->Set(Metric::kBackupLastSuccess, {}, 1764200000.25);
  EXPECT_EQ(Value("kiln_backup_last_success_timestamp_seconds"), 1764200000.25);
}

TEST_F(MetricsTest, Counts) {
  metrics_->Count(Metric::kJobTransitions, {"done"});
  metrics_->Count(Metric::kJobTransitions, {"done"}, 2);
  EXPECT_EQ(Value("kiln_job_transitions_total{to=\"done\"}"), 3);
  metrics_->Observe(Metric::kStoreAppend, {}, 0.05);
  metrics_->Observe(Metric::kStoreAppend, {}, 100);
  EXPECT_EQ(Value("kiln_store_append_seconds_bucket{le=\"0.1\"}"), 1);
  EXPECT_EQ(Value("kiln_store_append_seconds_bucket{le=\"+Inf\"}"), 2);
  EXPECT_DOUBLE_EQ(Value("kiln_store_append_seconds_sum"), 100.05);
}

// So that the first failure on a target is an increase.
TEST_F(MetricsTest, WithATargetComesAllThatIsKnownOfIt) {
  metrics_->Count(Metric::kTrials, {"rasp4b", "measured", "ok"});
  EXPECT_EQ(Value(R"(kiln_trials_total{kind="measured",status="ok",target="rasp4b"})"), 1);
  EXPECT_EQ(Value(R"(kiln_trials_total{kind="measured",status="timeout",target="rasp4b"})"), 0);
  EXPECT_EQ(Value(R"(kiln_trials_total{kind="emulated",status="ok",target="rasp4b"})"), 0);
  EXPECT_EQ(Value(R"(kiln_trials_total{kind="measured",status="ok",target="pixel6"})"), -1);
}

TEST_F(MetricsTest, WhatMakesNoSenseIsRefusedAndCounted) {
  metrics_->Count(Metric::kJobTransitions, {"lost"});  // no such state
  metrics_->Count(Metric::kJobTransitions, {});        // no label
  metrics_->Count(Metric::kJobTransitions, {"done", "twice"});
  metrics_->Count(Metric::kJobTransitions, {"done"}, -1);
  metrics_->Count(Metric::kJobTransitions, {"done"}, std::numeric_limits<double>::quiet_NaN());
  metrics_->Count(Metric::kLeases, {"rasp4b", "released"});  // a tracker's
  metrics_->Set(Metric::kJobTransitions, {"done"}, 1);       // no gauge
  metrics_->Observe(Metric::kJobs, {"done"}, 1);             // no histogram
  const kiln::Scrape scrape = Scrape();
  EXPECT_EQ(ValueOf(scrape, "kiln_series_refused_total"), 8);
  EXPECT_EQ(ValueOf(scrape, "kiln_job_transitions_total{to=\"done\"}"), 0);
}

TEST_F(MetricsTest, NamesCannotFillTheMemory) {
  const int names = Metrics::kMaxSeries + 100;
  for (int i = 0; i < names; ++i) metrics_->Set(Metric::kWindowOpen, {"w" + std::to_string(i)}, 1);
  const kiln::Scrape scrape = Scrape();
  EXPECT_EQ(scrape.at("kiln_window_open").series.size(), std::size_t{Metrics::kMaxSeries});
  EXPECT_EQ(ValueOf(scrape, "kiln_series_refused_total"), 100);
  metrics_->Set(Metric::kWindowOpen, {"w0"}, 0);  // those that are there go on
  EXPECT_EQ(Value("kiln_window_open{window=\"w0\"}"), 0);
}

TEST_F(MetricsTest, OddNamesCannotBreakTheText) {
  metrics_->Set(Metric::kWindowOpen, {"a\"b\\c\nd\xff\xc3\xa4"}, 1);
  EXPECT_EQ(Value("kiln_window_open{window=\"a\\\"b\\\\c?d?\xc3\xa4\"}"), 1);
  metrics_->Remove(Metric::kWindowOpen, {"a\"b\\c\nd\xff\xc3\xa4"});
  EXPECT_TRUE(Scrape().at("kiln_window_open").series.empty());
  metrics_->Set(Metric::kWindowOpen, {std::string(1000, 'x')}, 1);
  EXPECT_EQ(Value("kiln_window_open{window=\"" + std::string(128, 'x') + "\"}"), 1);
}

TEST_F(MetricsTest, AWholeFamilyCanBeSet) {
  const auto tracker = New(MetricSource::kTracker);
  const auto at = [](const std::string& target, const std::string& state) {
    return "kiln_devices{health=\"good\",state=\"" + state + "\",target=\"" + target + "\"}";
  };
  tracker->SetAll(Metric::kDevices,
                  {{{"rasp4b", "free", "good"}, 2}, {{"pixel6", "leased", "good"}, 1}});
  kiln::Scrape scrape = ScrapeOf(*tracker);
  EXPECT_EQ(ValueOf(scrape, at("rasp4b", "free")), 2);
  EXPECT_EQ(ValueOf(scrape, at("rasp4b", "lost")), 0);
  tracker->SetAll(Metric::kDevices, {{{"rasp4b", "lost", "good"}, 1}});
  scrape = ScrapeOf(*tracker);
  EXPECT_EQ(ValueOf(scrape, at("rasp4b", "free")), 0);
  EXPECT_EQ(ValueOf(scrape, at("rasp4b", "lost")), 1);
  EXPECT_EQ(ValueOf(scrape, at("pixel6", "leased")), -1);

  metrics_->SetAll(Metric::kJobs, {{{"done"}, 3}});
  metrics_->SetAll(Metric::kJobs, {{{"queued"}, 1}});
  EXPECT_EQ(Value("kiln_jobs{state=\"done\"}"), 0);
  EXPECT_EQ(Value("kiln_jobs{state=\"queued\"}"), 1);
}

TEST_F(MetricsTest, CollectorsAreAskedForEachScrapeAndMayFail) {
  int asked = 0;
  metrics_->AddCollector("the store", [&](Metrics& metrics) -> Status {
    metrics.Set(Metric::kStoreSize, {}, ++asked);
    return absl::OkStatus();
  });
  metrics_->AddCollector("nothing",
                         [](Metrics&) { return Error(StatusCode::kUnavailable, "it is locked"); });
  EXPECT_EQ(Value("kiln_store_size_bytes"), 1);
  const kiln::Scrape second = Scrape();
  EXPECT_EQ(ValueOf(second, "kiln_store_size_bytes"), 2);
  EXPECT_EQ(ValueOf(second, "kiln_scrape_errors_total"), 2);
}

TEST_F(MetricsTest, ManyThreadsMayCount) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 1000; ++i) {
        metrics_->Count(Metric::kImprovements, {"t" + std::to_string(i % 7)});
        metrics_->Set(Metric::kWindowOpen, {std::to_string(t)}, i);
        if (i % 100 == 0) metrics_->Scrape();
        metrics_->Remove(Metric::kWindowOpen, {std::to_string(t)});
      }
    });
  }
  threads.clear();
  EXPECT_EQ(Value("kiln_improvements_total{target=\"t0\"}"), 4 * 143);
}

using MetricsRouteTest = HttpFixture;

TEST_F(MetricsRouteTest, IsReadOverHttp) {
  const auto metrics = NewMetrics(MetricSource::kServer);
  ASSERT_TRUE(metrics.ok());
  Start({}, RouteHttp({MetricsRoute(**metrics)}));
  const std::string answer = Ask(address(), Get("/metrics"));
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_EQ(HeaderOf(answer, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_TRUE(ParseExposition(BodyOf(answer)).ok());
  EXPECT_EQ(StatusOf(Ask(address(), Get("/"))), 404);
  EXPECT_EQ(StatusOf(Ask(address(), Post(""))), 404);
  server_.reset();
}

TEST_F(MetricsRouteTest, MayBeCollectedOnAThreadOfItsOwn) {
  const auto metrics = NewMetrics(MetricSource::kServer);
  ASSERT_TRUE(metrics.ok());
  std::thread::id scraper, reactor;
  (*metrics)->AddCollector("the thread", [&](Metrics&) {
    scraper = std::this_thread::get_id();
    return absl::OkStatus();
  });
  std::jthread worker;
  const auto run = [&](std::function<void()> scrape) {
    reactor = std::this_thread::get_id();
    worker = std::jthread(std::move(scrape));
  };
  Start({}, RouteHttp({MetricsRoute(**metrics, run)}));
  EXPECT_EQ(StatusOf(Ask(address(), Get("/metrics"))), 200);
  server_.reset();  // nothing runs on the reactor any more
  worker.join();
  EXPECT_NE(scraper, std::thread::id());
  EXPECT_NE(scraper, reactor);
}

}  // namespace
}  // namespace kiln
