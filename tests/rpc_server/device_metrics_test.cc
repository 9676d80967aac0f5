#include "rpc_server/device_metrics.h"

#include <gtest/gtest.h>

#include "tests/rpc_server/fake_device.h"
#include "tests/telemetry/exposition.h"

namespace kiln {
namespace {

// Each kernel takes two seconds of it.
class KernelClock final : public Clock {
 public:
  SteadyTime Now() const override { return now; }
  WallTime Today() const override { return WallTime(std::chrono::seconds(1'764'200'000)); }
  SteadyTime now;
};

class DeviceMetricsTest : public testing::Test {
 protected:
  DeviceMetricsTest() {
    identity_.name = "pi-3";
    identity_.target = "rasp4b";
    identity_.cores = {0};
  }
  void Start() {
    auto fake = std::make_unique<FakeHostProcess>([this](const HostRequest&) {
      clock_.now += std::chrono::seconds(2);
      return reply_;
    });
    host_ = WithMetrics(std::move(fake), identity_, *metrics_, clock_);
  }
  void Run(Outcome outcome, const std::stop_token& stop = {}) {
    reply_.outcome = std::move(outcome);
    host_->Run({}, stop);
  }
  Scrape Look() {
    const auto scrape = ParseExposition(metrics_->Scrape());
    EXPECT_TRUE(scrape.ok()) << scrape.status();
    return scrape.value_or(Scrape());
  }
  double Trials(const std::string& status, const std::string& kind = "measured") {
    return ValueOf(Look(), "kiln_trials_total{kind=\"" + kind + "\",status=\"" + status +
                               "\",target=\"rasp4b\"}");
  }

  DeviceIdentity identity_;
  KernelClock clock_;
  HostReply reply_;
  std::unique_ptr<Metrics> metrics_ = *NewMetrics(MetricSource::kServer);
  std::unique_ptr<HostProcess> host_;
};

TEST_F(DeviceMetricsTest, BeginsAtZero) {
  Start();
  const Scrape scrape = Look();
  EXPECT_EQ(Trials("ok"), 0);
  EXPECT_EQ(Trials("host_killed"), 0);
  EXPECT_EQ(ValueOf(scrape, "kiln_device_busy_seconds_total{device=\"pi-3\"}"), 0);
  EXPECT_EQ(ValueOf(scrape, "kiln_device_last_trial_timestamp_seconds{device=\"pi-3\"}"), -1);
}

TEST_F(DeviceMetricsTest, CountsTrialsByWhatCameOfThem) {
  Start();
  Run(Timings{{1}, 1});
  Run(Timings{{1}, 1});
  Run(Censored{});
  EXPECT_EQ(Trials("ok"), 2);
  EXPECT_EQ(Trials("censored"), 1);
  const Scrape scrape = Look();
  EXPECT_EQ(ValueOf(scrape, "kiln_device_busy_seconds_total{device=\"pi-3\"}"), 6);
  EXPECT_EQ(ValueOf(scrape, "kiln_device_last_trial_timestamp_seconds{device=\"pi-3\"}"),
            1'764'200'000);
}

TEST_F(DeviceMetricsTest, TheCatalogueKnowsEveryKindOfFailureAndOfTime) {
  identity_.time_kind = TimeKind::kEmulated;
  Start();
  for (int kind = 0; kind <= static_cast<int>(FailureKind::kHostKilled); ++kind) {
    Run(Failure{Stage::kRun, static_cast<FailureKind>(kind), ""});
  }
  EXPECT_EQ(Trials("wrong_result", "emulated"), 1);
  EXPECT_EQ(Trials("device_lost", "emulated"), 1);
  EXPECT_EQ(ValueOf(Look(), "kiln_series_refused_total"), 0);
  for (const TimeKind kind : {TimeKind::kMeasured, TimeKind::kEmulated, TimeKind::kEstimated}) {
    EXPECT_EQ(Trials("ok", Name(kind)), 0) << Name(kind);
  }
  const auto& stages = FamilyOf(Metric::kTrialStage).labels.front().values;
  for (int stage = 0; stage <= static_cast<int>(Stage::kDevice); ++stage) {
    EXPECT_EQ(stages.at(static_cast<std::size_t>(stage)), Name(static_cast<Stage>(stage)));
  }
}

TEST_F(DeviceMetricsTest, WhatNobodyWantedAnyMoreIsNoTrial) {
  Start();
  std::stop_source stop;
  stop.request_stop();
  Run(Failure{Stage::kDevice, FailureKind::kDeviceLost, ""}, stop.get_token());
  reply_.objection = "too large";
  Run(Timings{});
  EXPECT_EQ(Trials("device_lost"), 0);
  EXPECT_EQ(Trials("ok"), 0);
}

// What is there depends on the machine: each value is absent or makes sense.
TEST_F(DeviceMetricsTest, ARealDeviceSaysHowItIs) {
  Start();
  const Scrape scrape = Look();
  const double hertz = ValueOf(scrape, "kiln_device_frequency_hertz{device=\"pi-3\"}");
  EXPECT_TRUE(hertz == -1 || (hertz > 1e7 && hertz < 1e11)) << hertz;
  const double celsius = ValueOf(scrape, "kiln_device_temperature_celsius{device=\"pi-3\"}");
  EXPECT_TRUE(celsius == -1 || (celsius > -50 && celsius < 150)) << celsius;
}

TEST_F(DeviceMetricsTest, AnEmulatedDeviceHasNoSensors) {
  identity_.time_kind = TimeKind::kEmulated;
  Start();
  EXPECT_TRUE(Look().at("kiln_device_frequency_hertz").series.empty());
}

}  // namespace
}  // namespace kiln
