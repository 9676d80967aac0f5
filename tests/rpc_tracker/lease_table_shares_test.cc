// Who gets how much of the devices, over simulated hours; and when a holder is asked to give back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <list>
#include <map>
#include <memory>

#include "tests/rpc_tracker/table_fixture.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A client as the simulation plays it.
struct Player {
  std::string party, client;
  int requests = 1;  // that it has waiting or leased, always
  milliseconds hold{5};
  int priority = 0;
  // It keeps a lease while it is not asked to give it back, and measures trials of `hold` on it.
  bool keeps = false;

  int leases = 0, trials = 0;
  Nanoseconds used{0};
};

class Simulation {
 public:
  Simulation(int devices, std::vector<Player> players) : players_(std::move(players)) {
    for (int i = 0; i < devices; ++i) {
      EXPECT_TRUE(table_.Register(now_, Hello("d" + std::to_string(i))).ok());
    }
  }

  void Run(Nanoseconds time) {
    const SteadyTime end = now_ + time;
    if (!std::exchange(begun_, true)) {
      for (Player& player : players_) {
        for (int i = 0; i < player.requests; ++i) At(now_, [&] { Ask(player); });
      }
    }
    while (!events_.empty() && events_.begin()->first <= end) {
      auto event = events_.extract(events_.begin());
      now_ = event.key();
      table_.Tick(now_);
      event.mapped()();
      Carry();
    }
    now_ = end;
  }

  const Player& operator[](std::size_t player) const { return players_[player]; }

 private:
  struct Tenure {
    LeaseClaim Claim() const { return {player->party, grant.device, grant.id, grant.epoch}; }
    Player* player = nullptr;
    LeaseGrant grant;
    SteadyTime since;
    bool give_back = false, over = false;
  };

  void At(SteadyTime time, std::function<void()> event) { events_.emplace(time, std::move(event)); }

  void Ask(Player& player) {
    LeaseRequest request = AskAs(std::to_string(++last_id_), player.party, player.client);
    request.priority = player.priority;
    if (table_.Request(now_, request).ok()) {
      asked_[request.id] = &player;
    } else {
      At(now_ + seconds(1), [this, &player] { Ask(player); });
    }
  }

  void Carry() {
    for (auto actions = table_.TakeActions(); !actions.empty(); actions = table_.TakeActions()) {
      for (const LeaseAction& action : actions) {
        if (const auto* grant = std::get_if<SendGrant>(&action)) {
          table_.Acknowledge(now_, grant->session, grant->lease.epoch);
        } else if (const auto* answer = std::get_if<AnswerRequest>(&action)) {
          Answered(*answer);
        }
      }
    }
  }

  void Answered(const AnswerRequest& answer) {
    const auto asked = asked_.extract(answer.id);
    Player& player = *asked.mapped();
    if (!answer.answer.ok()) return At(now_ + seconds(1), [this, &player] { Ask(player); });
    ++player.leases;
    const auto tenure = std::make_shared<Tenure>(Tenure{&player, *answer.answer, now_});
    At(now_ + player.hold, [=, this] { TrialEnds(tenure); });
    At(now_ + kTtl / 3, [=, this] { Beat(tenure); });
  }

  void Beat(const std::shared_ptr<Tenure>& tenure) {
    if (tenure->over) return;
    const StatusOr<Renewal> renewal = table_.Renew(now_, tenure->Claim());
    EXPECT_TRUE(renewal.ok()) << renewal.status();
    tenure->give_back = renewal.ok() && renewal->give_back;
    At(now_ + kTtl / 3, [=, this] { Beat(tenure); });
  }

  void TrialEnds(const std::shared_ptr<Tenure>& tenure) {
    Player& player = *tenure->player;
    ++player.trials;
    if (player.keeps && !tenure->give_back) {
      return At(now_ + player.hold, [=, this] { TrialEnds(tenure); });
    }
    tenure->over = true;
    player.used += now_ - tenure->since;
    EXPECT_TRUE(table_.Release(now_, tenure->Claim()).ok());
    Ask(player);
  }

  SteadyTime now_{};
  LeaseTable table_{{.ttl = kTtl}, now_};
  std::vector<Player> players_;
  std::multimap<SteadyTime, std::function<void()>> events_;
  std::map<std::string, Player*> asked_;
  int last_id_ = 0;
  bool begun_ = false;
};

double Share(double a, double b) { return a / (a + b); }

TEST(LeaseTableSharesTest, TenTimesTheRequestsGetNoMore) {
  Simulation farm(3, {{"p", "greedy", 100}, {"p", "modest", 10}});
  farm.Run(minutes(1));
  EXPECT_NEAR(Share(farm[0].leases, farm[1].leases), 0.5, 0.01);
}

TEST(LeaseTableSharesTest, TenTimesTheRequestsOfAnotherPartyGetNoMore) {
  Simulation farm(3, {{"p", "greedy", 100}, {"q", "modest", 10}});
  farm.Run(minutes(1));
  EXPECT_NEAR(Share(farm[0].leases, farm[1].leases), 0.5, 0.01);
}

TEST(LeaseTableSharesTest, TenThousandRequestsOfOneLeaveAnotherItsHalf) {
  Simulation farm(1, {{"p", "greedy", 10'000}, {"p", "modest", 2}});
  farm.Run(minutes(1));
  EXPECT_NEAR(Share(farm[0].leases, farm[1].leases), 0.5, 0.01);
}

TEST(LeaseTableSharesTest, APartyOfManyClientsGetsAsMuchAsAPartyOfOne) {
  std::vector<Player> players{{"one", "c", 10}};
  for (int i = 0; i < 20; ++i) players.push_back({"many", "c" + std::to_string(i), 10});
  Simulation farm(3, players);
  farm.Run(minutes(1));
  int many = 0, least = farm[1].leases, most = 0;
  for (std::size_t i = 1; i < players.size(); ++i) {
    many += farm[i].leases;
    least = std::min(least, farm[i].leases);
    most = std::max(most, farm[i].leases);
  }
  EXPECT_NEAR(Share(farm[0].leases, many), 0.5, 0.01);
  EXPECT_LE(most - least, 2);
}

TEST(LeaseTableSharesTest, WhoHoldsLongerGetsNoMoreTime) {
  Simulation farm(1, {{"p", "long", 5, seconds(5)}, {"p", "short", 5, milliseconds(500)}});
  farm.Run(minutes(30));
  EXPECT_NEAR(Share(farm[0].used.count(), farm[1].used.count()), 0.5, 0.02);
}

TEST(LeaseTableSharesTest, WhoHoldsLongerGetsNoMoreTimeOfSeveralDevices) {
  Simulation farm(4, {{"p", "long", 5, seconds(20)}, {"q", "short", 10, milliseconds(300)}});
  farm.Run(minutes(60));
  EXPECT_NEAR(Share(farm[0].used.count(), farm[1].used.count()), 0.5, 0.05);
}

TEST(LeaseTableSharesTest, AnyPriorityLeavesOthersTheirShare) {
  Simulation farm(2, {{"p", "urgent", 100, milliseconds(5), 1'000'000}, {"p", "plain", 10}});
  farm.Run(minutes(1));
  EXPECT_NEAR(Share(farm[0].leases, farm[1].leases), 0.5, 0.01);
}

TEST(LeaseTableSharesTest, TwoTunersOnOneDeviceSplitTheTrials) {
  const Player tuner{"p", "ann", 1, milliseconds(170), 0, true};
  Player other = tuner;
  other.client = "bob";
  Simulation farm(1, {tuner, other});
  farm.Run(minutes(2));
  EXPECT_GT(farm[0].trials + farm[1].trials, 650);
  EXPECT_NEAR(Share(farm[0].trials, farm[1].trials), 0.5, 0.05);
}

TEST(LeaseTableSharesTest, ATunerWithLongTrialsGetsNoMoreTime) {
  Simulation farm(1,
                  {{"p", "slow", 1, seconds(30), 0, true}, {"p", "fast", 1, seconds(1), 0, true}});
  farm.Run(std::chrono::hours(2));
  EXPECT_NEAR(Share(farm[0].used.count(), farm[1].used.count()), 0.5, 0.03);
}

TEST(LeaseTableSharesTest, ATunerAndManyShortLeasesShareTheTime) {
  Simulation farm(1,
                  {{"p", "tuner", 1, seconds(1), 0, true}, {"p", "short", 20, milliseconds(50)}});
  farm.Run(minutes(30));
  EXPECT_NEAR(Share(farm[0].used.count(), farm[1].used.count()), 0.5, 0.03);
}

TEST(LeaseTableSharesTest, ATunerOfTwoDevicesMakesRoomForASecond) {
  Simulation farm(2, {{"p", "ann", 2, milliseconds(200), 0, true},
                      {"q", "bob", 2, milliseconds(200), 0, true}});
  farm.Run(minutes(5));
  EXPECT_NEAR(Share(farm[0].trials, farm[1].trials), 0.5, 0.05);
}

class GiveBackTest : public TableFixture {
 protected:
  // A lease of a client, which has had it for a turn.
  LeaseClaim Hold(const std::string& id, const std::string& party, const std::string& client) {
    grants_.push_back(MustLease(AskAs(id, party, client)));
    parties_.push_back(party);
    const LeaseGrant& grant = grants_.back();
    return {parties_.back(), grant.device, grant.id, grant.epoch};
  }
  std::list<LeaseGrant> grants_;
  std::list<std::string> parties_;
};

TEST_F(GiveBackTest, AHolderGivesBackAfterATurnWhenAnotherWaits) {
  MustRegister(Hello("a"));
  const LeaseClaim claim = Hold("1", "p", "ann");
  Pass(seconds(5));
  EXPECT_FALSE(GiveBack(claim)) << "nobody waits";
  MustRequest(AskAs("2", "p", "bob"));
  Pass(milliseconds(50));
  EXPECT_TRUE(GiveBack(claim));
  EXPECT_TRUE(GiveBack(claim)) << "and is told so again";
}

TEST_F(GiveBackTest, ATurnIsHadInPeace) {
  MustRegister(Hello("a"));
  const LeaseClaim claim = Hold("1", "p", "ann");
  MustRequest(AskAs("2", "q", "bob"));
  Pass(milliseconds(999));
  EXPECT_FALSE(GiveBack(claim));
  Pass(milliseconds(1));
  EXPECT_TRUE(GiveBack(claim));
}

TEST_F(GiveBackTest, NobodyGivesBackForItself) {
  MustRegister(Hello("a"));
  const LeaseClaim claim = Hold("1", "p", "ann");
  for (int i = 0; i < 10; ++i) MustRequest(AskAs("own" + std::to_string(i), "p", "ann"));
  Pass(seconds(9));
  EXPECT_FALSE(GiveBack(claim));
}

TEST_F(GiveBackTest, NobodyGivesBackForAnotherWish) {
  MustRegister(Hello("a"));
  const LeaseClaim claim = Hold("1", "p", "ann");
  LeaseRequest other = AskAs("2", "q", "bob");
  other.target = "rasp4b";
  MustRequest(other);
  Pass(seconds(9));
  EXPECT_FALSE(GiveBack(claim));
}

TEST_F(GiveBackTest, WhoStopsWaitingIsNotGivenBackFor) {
  MustRegister(Hello("a"));
  const LeaseClaim claim = Hold("1", "p", "ann");
  MustRequest(AskAs("2", "q", "bob"));
  Pass(seconds(3));
  EXPECT_TRUE(GiveBack(claim));
  MustCancel("2", "q");
  EXPECT_FALSE(GiveBack(claim));
}

TEST_F(GiveBackTest, NoMoreHoldersAreToldThanOthersWait) {
  std::vector<LeaseClaim> claims;
  for (const char* name : {"a", "b", "c"}) {
    MustRegister(Hello(name));
    claims.push_back(Hold(name, "p", "ann"));
  }
  MustRequest(AskAs("2", "q", "bob"));
  Pass(seconds(3));
  const auto told = [&] {
    int count = 0;
    for (const LeaseClaim& claim : claims) count += GiveBack(claim);
    return count;
  };
  EXPECT_EQ(told(), 1);
  EXPECT_EQ(told(), 1);
  Pass(seconds(9));
  told();
  Pass(seconds(1));
  EXPECT_EQ(told(), 2) << "the first has paid no attention for a ttl";
}

TEST_F(GiveBackTest, WhoGivesBackStandsBehindWhomItGaveBackFor) {
  MustRegister(Hello("a"));
  const LeaseClaim claim = Hold("1", "p", "ann");
  MustRequest(AskAs("2", "q", "bob"));
  Pass(seconds(2));
  ASSERT_TRUE(GiveBack(claim));
  MustRequest(AskAs("3", "p", "ann"));
  MustRelease(claim);
  EXPECT_THAT(AcknowledgeAll(), testing::ElementsAre("2"));
}

}  // namespace
}  // namespace kiln
