// A daemon that is asked over mutual TLS and tunes on a farm that speaks it, with certificates of
// scripts/make-certs: who may do what, and what is said to those who may not.

#include <gmock/gmock.h>

#include <csignal>

#include "tests/integration/json_lines.h"
#include "tests/integration/night_scene.h"
#include "tests/integration/stored_trials.h"
#include "tests/proto/test_farm.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kDense[] = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";
constexpr char kListening[] = "clients over TLS: ";

using Words = std::vector<std::string>;

Words Plus(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words Options(const TlsFiles& tls) {
  Words options = {"--ca", tls.ca, "--cert", tls.cert, "--key", tls.key};
  if (!tls.crl.empty()) options.insert(options.end(), {"--crl", tls.crl});
  return options;
}

std::string Lines(const TlsFiles& tls) {
  std::string lines =
      "ca = \"" + tls.ca + "\"\ncert = \"" + tls.cert + "\"\nkey = \"" + tls.key + "\"\n";
  return tls.crl.empty() ? lines : lines + "crl = \"" + tls.crl + "\"\n";
}

class NightSecurityTest : public NightTest {
 protected:
  void SetUp() override {
    farm_.Make("farm --tracker localhost --device pi --client ann,bob,owl --admin eve");
    ShowTime("2026-11-27T12:00:00Z");
  }

  TlsFiles ForClient(const std::string& name) const {
    TlsFiles files = farm_.Of(name);
    files.crl.clear();  // a client takes none
    return files;
  }

  // A daemon that listens over TLS as well, and tunes on the devices of `farm`: lines of [farm].
  void StartTlsDaemon(const std::string& farm = "") {
    scratch_.Write("night.toml",
                   "name = \"owl\"\nzone = \"UTC\"\ndatabase = \"" + scratch_.database() + "\"\n" +
                       "[listen]\nsocket = \"unix:" + scratch_.Path("daemon.sock") +
                       "\"\naddress = \"127.0.0.1:0\"\n" + Lines(farm_.Of("tracker")) +
                       "[[window]]\nname = \"night\"\nfrom = \"22:00\"\nto = \"06:00\"\n" + farm);
    StartDaemon();
    ASSERT_TRUE(daemon_->WaitUntil([&] { return !TlsAddress().empty(); })) << daemon_->err();
  }
  // As its log says.
  std::string TlsAddress() const {
    const std::string log = daemon_->err();
    const std::size_t at = log.find(kListening);
    if (at == std::string::npos || log.find('\n', at) == std::string::npos) return "";
    const std::size_t begin = at + std::string(kListening).size();
    return log.substr(begin, log.find('\n', begin) - begin);
  }

  Outcome As(const TlsFiles& tls, const Words& command) const {
    return Kiln(Plus(Plus(command, {"--daemon", TlsAddress()}), Options(tls)));
  }
  Outcome As(const std::string& name, const Words& command) const {
    return As(ForClient(name), command);
  }
  // A job of this client's that waits for the night; its id.
  std::string SubmitAs(const std::string& name) const {
    const Outcome outcome =
        As(name, {"submit", "--workload", kDense, "--trials", "4", "--window", "night", "--json"});
    const auto jobs = JsonLines(outcome.out);
    EXPECT_EQ(jobs.size(), 1u) << outcome.err;
    return jobs.empty() ? "" : jobs[0]["id"].dump();
  }
  void ExpectRefusal(const Outcome& outcome, const Words& words) const {
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
    for (const std::string& word : words) EXPECT_THAT(outcome.err, HasSubstr(word));
  }

  const TestFarm farm_;
};

TEST_F(NightSecurityTest, JobsBelongToTheCertificateThatSubmittedThem) {
  StartTlsDaemon();
  const std::string id = SubmitAs("ann");
  EXPECT_EQ(JobOf(std::stoll(id))["user"], "ann") << "and to no user of this machine";
  // All may look.
  const Outcome seen = As("bob", {"job", id, "--json"});
  ASSERT_EQ(seen.status, 0) << seen.err;
  EXPECT_EQ(JsonLines(seen.out).at(0)["user"], "ann");
  EXPECT_THAT(As("bob", {"jobs"}).out, HasSubstr("window night opens Fri 22:00 UTC"));
  EXPECT_EQ(JsonLines(As("ann", {"jobs", "--mine", "--json"}).out).size(), 1u);
  EXPECT_EQ(JsonLines(As("bob", {"jobs", "--mine", "--json"}).out).size(), 0u);
  // Nobody else may touch.
  for (const char* command : {"cancel", "pause", "resume"}) {
    ExpectRefusal(As("bob", {command, id}), {"job " + id + " is ann's: only ann or an admin may"});
  }
  EXPECT_EQ(StateOf(std::stoll(id)), "queued");
  EXPECT_EQ(As("eve", {"pause", id}).status, 0);
  EXPECT_EQ(StateOf(std::stoll(id)), "paused");
  EXPECT_EQ(As("ann", {"cancel", id}).status, 0);
  EXPECT_EQ(StateOf(std::stoll(id)), "cancelled");
  const auto history = JobOf(std::stoll(id))["history"];
  Words by;
  for (const auto& step : history) by.push_back(step["by"]);
  EXPECT_THAT(by, testing::IsSupersetOf({"eve", "ann"}));
}

TEST_F(NightSecurityTest, SeriesBelongToTheCertificateThatMadeThem) {
  StartTlsDaemon();
  const Words fresh = {"submit",   "--workload", kDense,        "--trials", "4",
                       "--window", "night",      "--recurring", "fresh"};
  ASSERT_EQ(As("ann", fresh).status, 0);
  const std::string words = "the series fresh is ann's: only ann or an admin may do this";
  ExpectRefusal(As("bob", fresh), {words});
  ExpectRefusal(As("bob", {"cancel", "fresh"}), {words});
  EXPECT_EQ(As("eve", {"cancel", "fresh"}).status, 0);
  ExpectRefusal(As("ann", {"cancel", "fresh"}), {"no series fresh"});
}

TEST_F(NightSecurityTest, CallersWithoutAGoodCertificateAreRefusedInWords) {
  StartTlsDaemon();
  TestFarm other;
  other.Make("farm --tracker localhost --client ann");
  TlsFiles strange = other.Of("ann");
  strange.crl.clear();
  ExpectRefusal(Kiln({"jobs", "--daemon", TlsAddress()}),
                {TlsAddress() + " speaks TLS: give --ca, --cert and --key"});
  ExpectRefusal(As("pi", {"jobs"}), {"role client", "device pi"});
  ExpectRefusal(As(strange, {"jobs"}), {"is of another authority"});
  ASSERT_EQ(As("bob", {"jobs"}).status, 0);
  farm_.Make("revoke bob");
  // The list is read again while it serves.
  EXPECT_TRUE(daemon_->WaitUntil([&] { return As("bob", {"jobs"}).status != 0; }));
  ExpectRefusal(As("bob", {"jobs"}), {"client bob", "has been revoked"});
  EXPECT_EQ(As("ann", {"jobs"}).status, 0) << "served on";
}

TEST_F(NightSecurityTest, OwnCertificateOfTheDaemonIsATrackers) {
  scratch_.Write("night.toml", "[listen]\nsocket = \"unix:" + scratch_.Path("daemon.sock") +
                                   "\"\naddress = \"127.0.0.1:0\"\n" + Lines(farm_.Of("ann")));
  const Outcome outcome = Kiln({"daemon", "--config", scratch_.Path("night.toml")});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("needs a certificate with the role tracker"),
                                 HasSubstr("that of client ann")));
}

TEST_F(NightSecurityTest, FarmOverTlsIsTunedOnWithTheDaemonsOwnCertificate) {
  StartTracker("127.0.0.1:0", Options(farm_.Of("tracker")));
  const RunningProgram device(
      scratch_,
      Plus({"kiln-server", "--tracker", address_, "--target", "native"}, Options(farm_.Of("pi"))));
  StartTlsDaemon("[farm]\ntracker = \"" + address_ + "\"\n" + Lines(ForClient("owl")));
  const Outcome outcome = As("ann", {"submit", "--workload", kDense, "--trials", "4", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const std::int64_t id = JsonLines(outcome.out).at(0)["id"];
  ASSERT_TRUE(EventuallyIn(id, "done")) << JobOf(id) << daemon_->err();
  EXPECT_EQ(ReadTrials(scratch_.database()).size(), 4u);
  const auto best = JsonLines(ExpectKiln(0, {"best", "--all", "--json"}).out);
  ASSERT_EQ(best.size(), 1u);
  EXPECT_EQ(best[0]["device"], "pi");
  daemon_->Signal(SIGTERM);
  EXPECT_EQ(daemon_->Wait().status, 0);
}

}  // namespace
}  // namespace kiln
