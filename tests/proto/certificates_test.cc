#include "proto/certificates.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/proto/test_farm.h"

namespace kiln {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class FakeClock final : public Clock {
 public:
  SteadyTime Now() const override { return SteadyTime(since_.load()); }
  WallTime Today() const override {
    return start_ + std::chrono::duration_cast<WallTime::duration>(since_.load());
  }
  void Advance(Nanoseconds time) { since_ = since_.load() + time; }

 private:
  const WallTime start_ = std::chrono::system_clock::now();
  std::atomic<Nanoseconds> since_ = Nanoseconds(seconds(100));
};

WallTime Today() { return SystemClock().Today(); }

// One farm for all tests that change nothing of it.
const TestFarm& Farm() {
  static const TestFarm* farm = [] {
    static TestFarm made;
    made.Make("farm --tracker farm.local,10.0.0.1 --device box --client ann,bob --admin root");
    made.Make("client late --not-after '2 minutes ago'");
    made.Make("client early --not-before '1 hour'");
    made.Make("client gone");
    made.Make("revoke gone");
    MakeOdd(made, "norole", "subjectAltName=DNS:somebody");
    MakeOdd(made, "two", "subjectAltName=URI:kiln://client/x,URI:kiln://admin/x");
    MakeOdd(made, "wrongrole", "subjectAltName=URI:kiln://king/x");
    MakeOdd(made, "plain", "basicConstraints=CA:FALSE");
    return &made;
  }();
  return *farm;
}

const TestFarm& OtherFarm() {
  static const TestFarm* farm = [] {
    static TestFarm made;
    made.Make("farm --tracker farm.local --client ann");
    return &made;
  }();
  return *farm;
}

std::string Why(const TlsFiles& files, std::optional<Role> role = std::nullopt) {
  return Message(CheckTlsFiles(files, role, Today()));
}

TEST(SecurityTest, RolesAndHostsHaveNames) {
  EXPECT_STREQ(Name(Role::kClient), "client");
  EXPECT_STREQ(Name(Role::kDevice), "device");
  EXPECT_STREQ(Name(Role::kAdmin), "admin");
  EXPECT_STREQ(Name(Role::kTracker), "tracker");
  EXPECT_EQ(DeviceHostName("pi4"), "pi4.device.kiln");
}

TEST(CertificateTest, SaysWhoseItIsAndWhatFor) {
  const auto tracker = ReadCertificateFile(Farm().File("tracker.crt"));
  ASSERT_TRUE(tracker.ok()) << tracker.status();
  EXPECT_EQ(tracker->principal, (Principal{Role::kTracker, "tracker"}));
  EXPECT_THAT(tracker->hosts,
              UnorderedElementsAre("localhost", "127.0.0.1", "::1", "farm.local", "10.0.0.1"));
  EXPECT_THAT(tracker->authority, HasSubstr("Kiln farm "));
  EXPECT_LT(tracker->not_before, Today());
  EXPECT_GT(tracker->not_after, Today() + hours(24 * 364));
  const auto box = ReadCertificateFile(Farm().File("box.crt"));
  ASSERT_TRUE(box.ok());
  EXPECT_EQ(box->principal, (Principal{Role::kDevice, "box"}));
  EXPECT_THAT(box->hosts, ElementsAre(DeviceHostName("box")));
  EXPECT_EQ(Describe(*box->principal), "device box");
  for (const char* name : {"norole", "two", "wrongrole", "plain"}) {
    const auto odd = ReadCertificateFile(Farm().File(std::string(name) + ".crt"));
    ASSERT_TRUE(odd.ok()) << name << odd.status();
    EXPECT_FALSE(odd->principal) << name;
  }
}

TEST(CertificateTest, DaysAreThoseOfGreenwich) {
  EXPECT_EQ(Day(WallTime(seconds(1795651199))), "2026-11-25");
  EXPECT_EQ(Day(WallTime(seconds(1795651200))), "2026-11-26");
}

TEST(TlsFilesTest, WhatWasMadeForAFarmIsGood) {
  for (const auto& [name, role] : {std::pair{"tracker", Role::kTracker},
                                   {"box", Role::kDevice},
                                   {"ann", Role::kClient},
                                   {"root", Role::kAdmin}}) {
    EXPECT_TRUE(CheckTlsFiles(Farm().Of(name), role, Today()).ok()) << Why(Farm().Of(name), role);
    EXPECT_TRUE(CheckTlsFiles(Farm().Of(name), std::nullopt, Today()).ok());
  }
  TlsFiles no_list = Farm().Of("ann");
  no_list.crl.clear();
  EXPECT_EQ(Why(no_list), "");
  EXPECT_EQ(Why({}), "");  // plaintext
}

TEST(TlsFilesTest, AnAdminMayTuneAndNobodyElseIsAnother) {
  EXPECT_EQ(Why(Farm().Of("root"), Role::kClient), "");
  EXPECT_EQ(Why(Farm().Of("box"), Role::kTracker),
            "kiln-tracker needs a certificate with the role tracker, " + Farm().File("box.crt") +
                " is that of device box");
  EXPECT_THAT(Why(Farm().Of("ann"), Role::kDevice), HasSubstr("kiln-server needs"));
  EXPECT_THAT(Why(Farm().Of("tracker"), Role::kClient), HasSubstr("kiln needs"));
  EXPECT_THAT(Why(Farm().Of("ann"), Role::kAdmin), HasSubstr("is that of client ann"));
  for (const char* name : {"norole", "two", "wrongrole", "plain"}) {
    EXPECT_EQ(CheckTlsFiles(Farm().Of(name), std::nullopt, Today()).code(),
              StatusCode::kFailedPrecondition);
    EXPECT_THAT(Why(Farm().Of(name), Role::kDevice),
                AllOf(HasSubstr("names no role of Kiln (want kiln://device/NAME"),
                      HasSubstr("scripts/make-certs")));
  }
}

TEST(TlsFilesTest, AMissingOptionIsNamed) {
  const auto why = [](auto change) {
    TlsFiles files = Farm().Of("ann");
    change(files);
    const Status status = CheckTlsFiles(files, std::nullopt, Today());
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    return Message(status);
  };
  EXPECT_THAT(why([](TlsFiles& f) { f.key.clear(); }),
              AllOf(HasSubstr("--cert " + Farm().File("ann.crt")), HasSubstr("needs --key")));
  EXPECT_THAT(why([](TlsFiles& f) { f.cert.clear(); }), HasSubstr("needs --cert"));
  EXPECT_THAT(why([](TlsFiles& f) { f.ca.clear(); }), HasSubstr("needs --ca"));
  EXPECT_THAT(why([](TlsFiles& f) { f.ca = f.cert = f.key = ""; }), HasSubstr("--crl"));
  EXPECT_THAT(why([](TlsFiles& f) { f.cert = f.key = ""; }), HasSubstr("needs --cert"));
}

TEST(TlsFilesTest, AFileThatIsNotWhatItShouldBeIsNamed) {
  TlsFiles files = Farm().Of("ann");
  files.key = Farm().File("nobody.key");
  EXPECT_EQ(CheckTlsFiles(files, std::nullopt, Today()).code(), StatusCode::kNotFound);
  EXPECT_EQ(Why(files), "no such file: " + files.key);
  files.key = Farm().File("bob.key");
  EXPECT_EQ(Why(files), files.key + " is not the key of " + files.cert);
  files.key = files.cert;
  EXPECT_THAT(Why(files), HasSubstr("holds no private key in PEM form"));
  files = Farm().Of("ann");
  std::swap(files.cert, files.key);
  EXPECT_THAT(Why(files), HasSubstr("ann.key holds no certificate in PEM form"));
  files = Farm().Of("ann");
  files.ca = Farm().File("ca.key");
  EXPECT_THAT(Why(files), HasSubstr("ca.key holds no certificate in PEM form: --ca wants ca.crt"));
  files = Farm().Of("ann");
  files.crl = files.cert;
  EXPECT_THAT(Why(files), HasSubstr("--crl wants crl.pem"));
  files.crl = OtherFarm().File("crl.pem");
  EXPECT_THAT(Why(files), HasSubstr("crl.pem is not signed by"));
  files = Farm().Of("ann");
  files.cert = Farm().place().path().string();
  EXPECT_EQ(CheckTlsFiles(files, std::nullopt, Today()).code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Why(files), HasSubstr("directory"));
}

TEST(TlsFilesTest, AKeyMayNotHaveAPassphraseAndNobodyIsAskedForIt) {
  TestFarm farm;
  farm.Make("client ann");
  farm.Shell("openssl pkcs8 -topk8 -in ann.key -out locked.key -passout pass:secret");
  TlsFiles files = farm.Of("ann");
  files.key = farm.File("locked.key");
  EXPECT_THAT(Why(files), HasSubstr("locked.key has a passphrase"));
  if (geteuid() != 0) {
    chmod(files.ca.c_str(), 0);
    EXPECT_EQ(CheckTlsFiles(files, std::nullopt, Today()).code(), StatusCode::kPermissionDenied);
  }
}

TEST(TlsFilesTest, ValidityIsThatOfTheGivenTime) {
  EXPECT_THAT(Why(Farm().Of("late")),
              AllOf(HasSubstr("late.crt expired on " + Day(Today() - std::chrono::minutes(2))),
                    HasSubstr("the clock here says"), HasSubstr("renew")));
  EXPECT_THAT(Why(Farm().Of("early")),
              AllOf(HasSubstr("early.crt is not valid before"), HasSubstr("is it right?")));
  const TlsFiles ann = Farm().Of("ann");
  const Status later = CheckTlsFiles(ann, std::nullopt, Today() + hours(24 * 366));
  EXPECT_EQ(later.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(later), HasSubstr("ann.crt expired on"));
  // A board without a clock of its own begins in 1970.
  EXPECT_THAT(Message(CheckTlsFiles(ann, std::nullopt, WallTime())),
              HasSubstr("the clock here says 1970-01-01"));
}

TEST(TlsFilesTest, TheAuthorityExpiresToo) {
  TestFarm farm;
  farm.Make("init --days 30");
  farm.Make("client ann --days 20");
  farm.Shell("openssl x509 -in ca.crt -noout -checkend 0 >/dev/null");
  // A certificate that outlives its authority, which make-certs would refuse.
  farm.Shell(
      "openssl req -new -key ann.key -subj /CN=ann -out odd.csr && echo "
      "subjectAltName=URI:kiln://client/ann >odd && openssl x509 -req -in odd.csr -CA ca.crt "
      "-CAkey "
      "ca.key -days 90 -extfile odd -out ann.crt 2>/dev/null");
  EXPECT_EQ(Why(farm.Of("ann")), "");
  EXPECT_THAT(Message(CheckTlsFiles(farm.Of("ann"), std::nullopt, Today() + hours(24 * 40))),
              AllOf(HasSubstr("the authority"), HasSubstr("ca.crt expired on")));
}

TEST(TlsFilesTest, ACertificateOfAnotherAuthorityIsRefused) {
  TlsFiles files = Farm().Of("ann");
  files.ca = OtherFarm().File("ca.crt");
  files.crl.clear();
  const Status status = CheckTlsFiles(files, Role::kClient, Today());
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("ann.crt is not signed by the authority"),
                                     HasSubstr("ca.crt"), HasSubstr("`Kiln farm ")));
}

TEST(TlsFilesTest, WhatIsRevokedIsRefused) {
  const TlsFiles gone = Farm().Of("gone");
  EXPECT_EQ(CheckTlsFiles(gone, Role::kClient, Today()).code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Why(gone), HasSubstr("gone.crt has been revoked, says"));
  TlsFiles no_list = gone;
  no_list.crl.clear();
  EXPECT_EQ(Why(no_list), "");
}

TEST(TlsFilesTest, GarbageNeverCrashes) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  TestFarm farm;
  farm.Make("client ann");
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  const auto book = OpenPeerBook(farm.Of("ann"), SystemClock(), nullptr);
  ASSERT_TRUE(book.ok());
  for (const char* name : {"ca.crt", "ann.crt", "ann.key", "crl.pem"}) {
    const std::string good = farm.Bytes(name);
    for (int i = 0; i < 150; ++i) {
      std::string bad = good;
      switch (below(4)) {
        case 0:
          bad.resize(below(bad.size()));
          break;
        case 1:
          for (std::size_t n = below(8) + 1; n > 0; --n) {
            char& victim = bad[below(bad.size())];
            victim = static_cast<char>(victim ^ 1 << below(8));
          }
          break;
        case 2:
          bad.insert(below(bad.size()), std::string(below(300), static_cast<char>(below(256))));
          break;
        default:
          bad.resize(below(5000));
          for (char& c : bad) c = static_cast<char>(below(256));
      }
      farm.Replace(name, bad);
      (void)CheckTlsFiles(farm.Of("ann"), Role::kClient, Today());
      (void)OpenPeerBook(farm.Of("ann"), SystemClock(), nullptr);
      (void)ReadCertificate(bad);
      (void)(*book)->Identify(bad);
    }
    farm.Replace(name, good);
  }
  EXPECT_EQ(Why(farm.Of("ann"), Role::kClient), "");
}

// A book of a farm of its own, and what it has reported.
class PeerBookTest : public testing::Test {
 protected:
  PeerBookTest() {
    farm_.Make("client ann");
    farm_.Make("device box");
    book_ = *OpenPeerBook(farm_.Of("ann"), clock_,
                          [this](const std::string& line) { log_ += line + "\n"; });
  }

  StatusOr<Principal> Ask(const std::string& name) {
    return book_->Identify(farm_.Bytes(name + ".crt"));
  }
  std::string WhyNot(const std::string& name) {
    const auto answer = Ask(name);
    EXPECT_EQ(answer.status().code(), StatusCode::kUnauthenticated) << answer.status();
    return Message(answer.status());
  }

  TestFarm farm_;
  FakeClock clock_;
  std::string log_;
  std::unique_ptr<PeerBook> book_;
};

TEST_F(PeerBookTest, KnowsPeersByTheirCertificates) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(*Ask("ann"), (Principal{Role::kClient, "ann"}));
    EXPECT_EQ(*Ask("box"), (Principal{Role::kDevice, "box"}));
  }
  // gRPC may hand over a chain: the peer's own is the first.
  EXPECT_EQ(book_->Identify(farm_.Bytes("box.crt") + farm_.Bytes("ca.crt"))->name, "box");
}

TEST_F(PeerBookTest, NoCertificateAndNoRoleAreRefused) {
  EXPECT_THAT(Message(book_->Identify("").status()), HasSubstr("no certificate: give --ca"));
  EXPECT_EQ(book_->Identify("garbage").status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(book_->Identify(std::string(1 << 20, 'x')).status().code(),
            StatusCode::kUnauthenticated);
  MakeOdd(farm_, "norole", "subjectAltName=DNS:somebody");
  EXPECT_EQ(WhyNot("norole"),
            "the certificate names no role of Kiln (want kiln://client/NAME among its alternative "
            "names): "
            "make it with scripts/make-certs");
  EXPECT_EQ(WhyNot("ca"), WhyNot("norole"));
}

TEST_F(PeerBookTest, AKnownPeerExpires) {
  EXPECT_TRUE(Ask("ann").ok());
  clock_.Advance(hours(24 * 366));
  EXPECT_THAT(WhyNot("ann"), HasSubstr("the certificate of client ann expired on "));
  farm_.Make("client new --not-before '1 hour'");
  clock_.Advance(-hours(24 * 366));
  EXPECT_TRUE(Ask("ann").ok());
  EXPECT_THAT(WhyNot("new"), HasSubstr("the certificate of client new is not valid before"));
  clock_.Advance(hours(2));
  EXPECT_TRUE(Ask("new").ok());
}

TEST_F(PeerBookTest, ARevokedPeerIsRefusedWithinASecond) {
  EXPECT_TRUE(Ask("ann").ok());
  const std::uint64_t before = book_->generation();
  farm_.Make("revoke ann");
  clock_.Advance(milliseconds(900));
  EXPECT_TRUE(Ask("ann").ok());  // not looked at again yet
  EXPECT_EQ(book_->generation(), before);
  clock_.Advance(milliseconds(200));
  EXPECT_NE(book_->generation(), before);  // without a call
  EXPECT_EQ(WhyNot("ann"), "the certificate of client ann has been revoked");
  EXPECT_TRUE(Ask("box").ok());
  farm_.Make("client ann");  // a new key
  EXPECT_TRUE(Ask("ann").ok());
  EXPECT_EQ(log_, "");
}

TEST_F(PeerBookTest, RenewingKeepsThePeerAndRevokingTakesTheOldOneToo) {
  const std::string old = farm_.Bytes("ann.crt");
  farm_.Make("renew ann");
  EXPECT_NE(farm_.Bytes("ann.crt"), old);
  EXPECT_TRUE(Ask("ann").ok());
  EXPECT_TRUE(book_->Identify(old).ok());
  const std::uint64_t before = book_->generation();
  clock_.Advance(seconds(2));
  EXPECT_EQ(book_->generation(), before);  // another file, the same list
  farm_.Make("revoke ann");
  clock_.Advance(seconds(2));
  EXPECT_FALSE(Ask("ann").ok());
  EXPECT_FALSE(book_->Identify(old).ok());
}

TEST_F(PeerBookTest, ABadListLeavesTheOldOneAndIsReportedOnce) {
  farm_.Make("revoke ann");
  clock_.Advance(seconds(2));
  EXPECT_FALSE(Ask("ann").ok());
  const std::string good = farm_.Bytes("crl.pem");
  const std::uint64_t before = book_->generation();
  const std::vector<std::string> bad = {"garbage", good.substr(0, good.size() / 2), "",
                                        OtherFarm().Bytes("crl.pem")};
  for (const std::string& bytes : bad) {
    log_.clear();
    farm_.Replace("crl.pem", bytes);
    for (int i = 0; i < 3; ++i) {
      clock_.Advance(seconds(2));
      EXPECT_FALSE(Ask("ann").ok());
      EXPECT_TRUE(Ask("box").ok());
    }
    EXPECT_THAT(log_, AllOf(HasSubstr("crl.pem"), HasSubstr("what was revoked before stays so")));
    EXPECT_EQ(std::count(log_.begin(), log_.end(), '\n'), 1) << log_;
  }
  log_.clear();
  std::filesystem::remove(farm_.File("crl.pem"));
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(seconds(2));
    EXPECT_FALSE(Ask("ann").ok());
  }
  EXPECT_THAT(log_, HasSubstr("no such file"));
  EXPECT_EQ(std::count(log_.begin(), log_.end(), '\n'), 1) << log_;
  EXPECT_EQ(book_->generation(), before);
  farm_.Make("revoke box");  // makes the list again
  clock_.Advance(seconds(2));
  EXPECT_NE(book_->generation(), before);
  EXPECT_FALSE(Ask("box").ok());
}

TEST_F(PeerBookTest, OpensOnlyWithFilesThatAreGood) {
  TlsFiles files = farm_.Of("ann");
  files.crl = farm_.File("none.pem");
  EXPECT_EQ(OpenPeerBook(files, clock_, nullptr).status().code(), StatusCode::kNotFound);
  files.crl.clear();
  EXPECT_TRUE(OpenPeerBook(files, clock_, nullptr).ok());
  files.ca = farm_.File("none.crt");
  EXPECT_EQ(OpenPeerBook(files, clock_, nullptr).status().code(), StatusCode::kNotFound);
}

TEST_F(PeerBookTest, ManyThreadsAskWhileTheListChanges) {
  const std::string ann = farm_.Bytes("ann.crt"), box = farm_.Bytes("box.crt");
  const std::string nothing = farm_.Bytes("crl.pem");
  farm_.Make("revoke ann");
  const std::string something = farm_.Bytes("crl.pem");
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) {
        EXPECT_TRUE(book_->Identify(box).ok());
        (void)book_->Identify(ann);
        (void)book_->generation();
        if (t == 0 && i % 20 == 0) {
          farm_.Replace("crl.pem", i % 40 == 0 ? nothing : something);
          clock_.Advance(seconds(2));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(log_, "");
}

// Says what it costs; how fast a machine is, is no claim of ours.
TEST_F(PeerBookTest, AKnownPeerCostsALookup) {
  const std::string pem = farm_.Bytes("ann.crt");
  const auto book = *OpenPeerBook(farm_.Of("ann"), SystemClock(), nullptr);
  ASSERT_TRUE(book->Identify(pem).ok());
  constexpr int kCalls = 100'000;
  const auto start = std::chrono::steady_clock::now();
  int known = 0;
  for (int i = 0; i < kCalls; ++i) known += book->Identify(pem).ok();
  const Nanoseconds took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(known, kCalls);
  RecordProperty("ns_per_call", static_cast<int>(took.count() / kCalls));
  std::printf("%lld ns a call\n", static_cast<long long>(took.count() / kCalls));
}

}  // namespace
}  // namespace kiln
