#include "rpc_tracker/tracker_metrics.h"

#include "tests/rpc_tracker/table_fixture.h"
#include "tests/telemetry/exposition.h"

namespace kiln {
namespace {

class TableClock final : public Clock {
 public:
  explicit TableClock(const SteadyTime& now) : now_(now) {}
  SteadyTime Now() const override { return now_; }
  WallTime Today() const override { return {}; }

 private:
  const SteadyTime& now_;
};

// A log that keeps what comes.
class KeptEvents final : public EventLog {
 public:
  void Append(std::vector<LeaseEvent> events) override {
    for (LeaseEvent& event : events) kinds.push_back(event.kind);
  }
  std::vector<LeaseEventKind> kinds;
};

// What a real table says, told to the metrics.
class TrackerMetricsTest : public TableFixture {
 protected:
  TrackerMetricsTest()
      : TableFixture({.ttl = kTtl, .ack_timeout = kAck, .record_events = true}),
        metrics_(*NewMetrics(MetricSource::kTracker)),
        log_(NewLeaseMetrics(*metrics_, clock_, &kept_)) {}

  Scrape Look() {
    log_->Append(table_.TakeEvents());
    SetDeviceMetrics(*metrics_, table_.Devices());
    const auto scrape = ParseExposition(metrics_->Scrape());
    EXPECT_TRUE(scrape.ok()) << scrape.status();
    return scrape.value_or(Scrape());
  }
  static double Leases(const Scrape& scrape, const std::string& outcome,
                       const std::string& target = "avx512vnni") {
    return ValueOf(scrape,
                   "kiln_leases_total{outcome=\"" + outcome + "\",target=\"" + target + "\"}");
  }
  static double Devices(const Scrape& scrape, const std::string& state,
                        const std::string& health = "good") {
    return ValueOf(scrape, "kiln_devices{health=\"" + health + "\",state=\"" + state +
                               "\",target=\"avx512vnni\"}");
  }
  static LeaseClaim ClaimOf(const LeaseGrant& grant) {
    return {"", grant.device, grant.id, grant.epoch};
  }

  static constexpr char kWaiters[] = "kiln_lease_waiters{target=\"avx512vnni\"}";
  static constexpr char kBusy[] = "kiln_device_busy_seconds_total{device=\"a\"}";

  TableClock clock_{now_};
  KeptEvents kept_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<EventLog> log_;
};

TEST_F(TrackerMetricsTest, ADeviceBringsTheSeriesOfItsTarget) {
  MustRegister(Hello("a"));
  const Scrape scrape = Look();
  EXPECT_EQ(Devices(scrape, "free"), 1);
  EXPECT_EQ(Devices(scrape, "leased"), 0);
  EXPECT_EQ(Leases(scrape, "expired"), 0);
  EXPECT_EQ(ValueOf(scrape, kWaiters), 0);
  EXPECT_EQ(ValueOf(scrape, kBusy), 0);
  EXPECT_EQ(ValueOf(scrape, "kiln_series_refused_total"), 0);
}

TEST_F(TrackerMetricsTest, ALeaseIsBusyTimeWhileItLastsAndCountsWhenItEnds) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  EXPECT_EQ(Devices(Look(), "leased"), 1);
  Pass(std::chrono::seconds(2));
  EXPECT_EQ(ValueOf(Look(), kBusy), 2);
  Pass(std::chrono::seconds(3));
  MustRelease(ClaimOf(grant));
  Scrape scrape = Look();
  EXPECT_EQ(ValueOf(scrape, kBusy), 5);
  EXPECT_EQ(Leases(scrape, "released"), 1);
  Pass(std::chrono::seconds(3));
  EXPECT_EQ(ValueOf(Look(), kBusy), 5);

  MustLease("2");
  Look();
  Pass(kTtl);
  EXPECT_EQ(Leases(Look(), "expired"), 1);
}

TEST_F(TrackerMetricsTest, SaysWhoWaitsAndForHowLong) {
  MustRegister(Hello("a"));
  const LeaseGrant grant = MustLease("1");
  MustRequest(Ask("2"));
  MustRequest(Ask("3"));
  EXPECT_EQ(ValueOf(Look(), kWaiters), 2);
  Pass(std::chrono::seconds(4));
  MustRelease(ClaimOf(grant));
  AcknowledgeAll();
  Scrape scrape = Look();
  EXPECT_EQ(ValueOf(scrape, kWaiters), 1);
  EXPECT_EQ(ValueOf(scrape, "kiln_lease_wait_seconds_count{target=\"avx512vnni\"}"), 2);
  EXPECT_EQ(ValueOf(scrape, "kiln_lease_wait_seconds_sum{target=\"avx512vnni\"}"), 4);
  MustCancel("3");
  scrape = Look();
  EXPECT_EQ(ValueOf(scrape, kWaiters), 0);
  EXPECT_EQ(Leases(scrape, "withdrawn"), 1);
}

TEST_F(TrackerMetricsTest, RequestsThatFindNothingCount) {
  MustRegister(Hello("a"));
  Look();
  MustLease("1");
  MustRequest(Ask("2", 0, std::chrono::seconds(1)));
  Pass(std::chrono::seconds(1));
  const Scrape scrape = Look();
  EXPECT_EQ(Leases(scrape, "unserved"), 1);
  EXPECT_EQ(ValueOf(scrape, kWaiters), 0);
}

// Otherwise whoever asks could make as many series as he likes.
TEST_F(TrackerMetricsTest, TargetsThatNobodyServesAreOne) {
  for (int i = 0; i < 5; ++i) {
    LeaseRequest request = Ask(std::to_string(i), 0, std::chrono::milliseconds(0));
    request.target = "nonsense" + std::to_string(i);
    MustRequest(request);
  }
  EXPECT_EQ(Leases(Look(), "unserved", "unknown"), 5);
  EXPECT_EQ(Leases(Look(), "unserved", "nonsense0"), -1);
}

// As after a restart of the tracker, when clients may be there first.
TEST_F(TrackerMetricsTest, ARequestMayComeBeforeTheFirstDeviceOfItsTarget) {
  MustRequest(Ask("1"));
  EXPECT_EQ(ValueOf(Look(), "kiln_lease_waiters{target=\"unknown\"}"), 1);
  Pass(std::chrono::seconds(3));
  Look();
  MustRegister(Hello("a"));
  Scrape scrape = Look();
  EXPECT_EQ(ValueOf(scrape, "kiln_lease_waiters{target=\"unknown\"}"), -1);
  EXPECT_EQ(ValueOf(scrape, kWaiters), 1);
  AcknowledgeAll();
  scrape = Look();
  EXPECT_EQ(ValueOf(scrape, kWaiters), 0);
  EXPECT_EQ(ValueOf(scrape, "kiln_lease_wait_seconds_sum{target=\"avx512vnni\"}"), 3);
}

TEST_F(TrackerMetricsTest, LostAndFailingDevicesAreSeen) {
  const SessionId session = MustRegister(Hello("a"));
  MustLease("1");
  table_.Disconnect(now_, session);  // with a lease: it has failed
  Scrape scrape = Look();
  EXPECT_EQ(Devices(scrape, "lost", "failing"), 1);
  EXPECT_EQ(Devices(scrape, "leased"), 0);
  Pass(std::chrono::hours(2));
  scrape = Look();  // it is forgotten
  EXPECT_EQ(ValueOf(scrape, kBusy), -1);
  EXPECT_EQ(Devices(scrape, "lost", "failing"), -1);
}

TEST_F(TrackerMetricsTest, ADeviceInQuarantineIsFreeButNotWell) {
  MustRegister(Hello("a"));
  for (int i = 0; i < 4; ++i) {
    const LeaseGrant grant = MustLease(std::to_string(i));
    if (grant.id.empty()) break;
    const auto released = table_.Release(now_, ClaimOf(grant), {.fault = "it burns"});
    ASSERT_TRUE(released.ok()) << released;
    if (StatusOf("a") == DeviceStatus::kQuarantined) break;
  }
  EXPECT_EQ(Devices(Look(), "free", "quarantined"), 1);
}

TEST_F(TrackerMetricsTest, TheEventLogMissesNothing) {
  MustRegister(Hello("a"));
  MustLease("1");
  Look();
  EXPECT_EQ(kept_.kinds, (std::vector{LeaseEventKind::kStarted, LeaseEventKind::kRegistered,
                                      LeaseEventKind::kWaiting, LeaseEventKind::kOffered,
                                      LeaseEventKind::kGranted}));
}

}  // namespace
}  // namespace kiln
