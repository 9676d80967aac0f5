#include "rpc_tracker/tracker_codec.h"

#include <gmock/gmock.h>

#include <functional>

#include "proto/tracker.pb.h"
#include "proto/transport.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::Not;

const Peer kHost{"ipv4:10.0.0.7:40123", std::nullopt, ""};

v1::DeviceHello GoodHello() {
  v1::DeviceHello hello;
  hello.set_protocol(kProtocolVersion);
  hello.set_build("kiln-server 0.1.0");
  hello.set_name("phone");
  hello.set_instance("first");
  hello.set_target("pixel6");
  hello.set_cores(8);
  hello.add_isa("asimd");
  (*hello.mutable_labels())["rack"] = "4, top";
  hello.set_address("0.0.0.0:9191");
  hello.set_highest_epoch(7);
  v1::HeldLease& held = *hello.mutable_held();
  held.set_lease_id("lease");
  held.set_client("ann@desk:1");
  held.set_epoch(7);
  held.set_owner("client/ann");
  return hello;
}

v1::AcquireLeaseRequest GoodAcquire() {
  v1::AcquireLeaseRequest request;
  request.set_protocol(kProtocolVersion);
  request.set_lease_id("lease");
  request.set_client("ann@desk:1");
  request.set_target("pixel6");
  request.set_priority(-3);
  request.set_wait_ms(86'400'000);
  return request;
}

std::string Long(std::size_t bytes) { return std::string(bytes, 'x'); }

using HelloChange = std::function<void(v1::DeviceHello&)>;

Status HelloWith(const HelloChange& change) {
  v1::DeviceHello hello = GoodHello();
  change(hello);
  return ReadHello(hello, kHost).status();
}

TEST(TrackerCodecTest, HelloComesOverWhole) {
  const auto hello = ReadHello(GoodHello(), kHost);
  ASSERT_TRUE(hello.ok()) << hello.status();
  EXPECT_EQ(hello->name, "phone");
  EXPECT_EQ(hello->owner, "@10.0.0.7");
  EXPECT_FALSE(hello->authenticated);
  EXPECT_EQ(hello->address, "10.0.0.7:9191");
  EXPECT_EQ(hello->time_kind, "measured");
  EXPECT_EQ(hello->labels.at("rack"), "4, top");
  EXPECT_EQ(hello->held, (HeldLease{"lease", "ann@desk:1", 7, "client/ann"}));
  EXPECT_EQ(hello->highest_epoch, 7u);
}

TEST(TrackerCodecTest, NamesOfHellosAreNames) {
  using H = v1::DeviceHello;
  const std::pair<const char*, std::function<void(H&, const std::string&)>> fields[] = {
      {"name", [](H& hello, const std::string& text) { hello.set_name(text); }},
      {"target", [](H& hello, const std::string& text) { hello.set_target(text); }},
      {"instance", [](H& hello, const std::string& text) { hello.set_instance(text); }},
      {"feature", [](H& hello, const std::string& text) { hello.add_isa(text); }},
      {"label", [](H& hello, const std::string& text) { (*hello.mutable_labels())[text] = ""; }},
      {"held lease_id",
       [](H& hello, const std::string& text) { hello.mutable_held()->set_lease_id(text); }},
      {"held client",
       [](H& hello, const std::string& text) { hello.mutable_held()->set_client(text); }},
  };
  for (const auto& [name, set] : fields) {
    const auto with = [&, &set = set](const std::string& text) {
      return HelloWith([&](H& hello) { set(hello, text); });
    };
    EXPECT_TRUE(with(Long(128)).ok()) << name;
    for (const std::string& text : {std::string(), Long(129), std::string("two words"),
                                    std::string("line\n"), std::string("caf\xc3\xa9")}) {
      const Status status = with(text);
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << name << ": " << text;
      EXPECT_THAT(Message(status), HasSubstr(name));
      if (text.size() > 1) {
        EXPECT_THAT(Message(status), Not(HasSubstr(text)));
      }
    }
  }
  EXPECT_FALSE(HelloWith([](H& hello) { hello.set_time_kind("two words"); }).ok());
  EXPECT_FALSE(HelloWith([](H& hello) { hello.mutable_held()->set_owner("two words"); }).ok());
  EXPECT_TRUE(HelloWith([](H& hello) { hello.mutable_held()->set_owner(""); }).ok());
}

TEST(TrackerCodecTest, TextsOfHellosAreOneLine) {
  using H = v1::DeviceHello;
  const std::pair<const char*, std::function<void(H&, const std::string&)>> fields[] = {
      {"build", [](H& hello, const std::string& text) { hello.set_build(text); }},
      {"label's value",
       [](H& hello, const std::string& text) { (*hello.mutable_labels())["rack"] = text; }},
  };
  for (const auto& [name, set] : fields) {
    const auto with = [&, &set = set](const std::string& text) {
      return HelloWith([&](H& hello) { set(hello, text); });
    };
    EXPECT_TRUE(with("").ok());
    EXPECT_TRUE(with(Long(256)).ok());
    EXPECT_THAT(Message(with(Long(257))), HasSubstr(name));
    EXPECT_THAT(Message(with("two\nlines")), HasSubstr(name));
  }
  EXPECT_FALSE(HelloWith([](H& hello) { hello.set_address(Long(300) + ":1"); }).ok());
  EXPECT_FALSE(HelloWith([](H& hello) { hello.set_address("nonsense"); }).ok());
  EXPECT_FALSE(HelloWith([](H& hello) { hello.set_address("10.0.0.1:0"); }).ok());
  EXPECT_TRUE(HelloWith([](H& hello) { hello.set_address(""); }).ok());
}

TEST(TrackerCodecTest, HellosHaveSoManyOfEachAndSoManyBytes) {
  const auto features = [](int count) -> HelloChange {
    return [=](v1::DeviceHello& hello) {
      hello.clear_isa();
      for (int i = 0; i < count; ++i) hello.add_isa("f" + std::to_string(i));
    };
  };
  EXPECT_TRUE(HelloWith(features(64)).ok());
  EXPECT_EQ(HelloWith(features(65)).code(), StatusCode::kInvalidArgument);
  const auto labels = [](int count, const std::string& value) -> HelloChange {
    return [=](v1::DeviceHello& hello) {
      hello.clear_labels();
      for (int i = 0; i < count; ++i) {
        (*hello.mutable_labels())["label" + std::to_string(i)] = value;
      }
    };
  };
  EXPECT_TRUE(HelloWith(labels(32, "")).ok());
  EXPECT_EQ(HelloWith(labels(33, "")).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(HelloWith(labels(14, Long(256))).ok());
  const Status large = HelloWith(labels(16, Long(256)));
  EXPECT_EQ(large.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(large), HasSubstr("at most 4096 bytes"));
  for (const int cores : {0, -1, 1 << 21}) {
    EXPECT_EQ(HelloWith([&](v1::DeviceHello& hello) { hello.set_cores(cores); }).code(),
              StatusCode::kInvalidArgument);
  }
}

TEST(TrackerCodecTest, OtherProtocolsSayWhichSideToUpgrade) {
  const Status hello =
      HelloWith([](auto& message) { message.set_protocol(kOldestProtocolVersion - 1); });
  EXPECT_EQ(hello.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(hello), HasSubstr("upgrade the device"));
  v1::AcquireLeaseRequest request = GoodAcquire();
  request.set_protocol(kProtocolVersion + 1);
  const Status acquire = ReadAcquire(request, kHost).status();
  EXPECT_EQ(acquire.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(acquire), HasSubstr("upgrade the tracker"));
}

TEST(TrackerCodecTest, NameIsTheCredentials) {
  const Peer phone{"ipv4:10.0.0.7:1", Principal{Role::kDevice, "phone"}, ""};
  const Peer other{"ipv4:10.0.0.7:1", Principal{Role::kDevice, "other"}, ""};
  const auto hello = ReadHello(GoodHello(), phone);
  ASSERT_TRUE(hello.ok()) << hello.status();
  EXPECT_TRUE(hello->authenticated);
  EXPECT_EQ(hello->owner, "device/phone");
  EXPECT_EQ(ReadHello(GoodHello(), other).status().code(), StatusCode::kPermissionDenied);
}

TEST(TrackerCodecTest, RequestsComeOverWholeOrAreRefused) {
  const auto good = ReadAcquire(GoodAcquire(), kHost);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->id, "lease");
  EXPECT_EQ(good->party, "@10.0.0.7");
  EXPECT_EQ(good->priority, -3);
  EXPECT_EQ(good->wait, std::chrono::hours(24));
  EXPECT_EQ(good->time_kind, "measured");
  using R = v1::AcquireLeaseRequest;
  for (const std::function<void(R&)>& change :
       {std::function<void(R&)>([](R& r) { r.set_lease_id(""); }),
        std::function<void(R&)>([](R& r) { r.set_lease_id(Long(129)); }),
        std::function<void(R&)>([](R& r) { r.set_client(Long(129)); }),
        std::function<void(R&)>([](R& r) { r.set_target("a\nb"); }),
        std::function<void(R&)>([](R& r) { r.set_time_kind(" "); }),
        std::function<void(R&)>([](R& r) { r.set_wait_ms(-1); }),
        std::function<void(R&)>([](R& r) { r.set_wait_ms(86'400'001); })}) {
    R request = GoodAcquire();
    change(request);
    const Status status = ReadAcquire(request, kHost).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << request.ShortDebugString();
    EXPECT_LT(Message(status).size(), 300u);
  }
}

TEST(TrackerCodecTest, RenewalsAndReleasesNameTheirLease) {
  v1::RenewLeaseRequest renew;
  renew.set_lease_id("lease");
  EXPECT_FALSE(CheckRenew(renew).ok()) << "without a device";
  renew.set_device("phone");
  EXPECT_TRUE(CheckRenew(renew).ok());
  renew.set_lease_id(Long(129));
  EXPECT_EQ(CheckRenew(renew).code(), StatusCode::kInvalidArgument);
  v1::ReleaseLeaseRequest release;
  release.set_lease_id("lease");
  EXPECT_TRUE(CheckRelease(release).ok());
  release.set_device("two words");
  EXPECT_EQ(CheckRelease(release).code(), StatusCode::kInvalidArgument);
  release.set_device("phone");
  release.set_lease_id("");
  EXPECT_EQ(CheckRelease(release).code(), StatusCode::kInvalidArgument);
}

TEST(TrackerCodecTest, WordsAboutADeviceAreFitForALog) {
  v1::ReleaseLeaseRequest release;
  release.set_lease_id("lease");
  release.set_device("phone");
  release.set_fault("nothing answers at 10.0.0.4:9191");
  release.set_served(true);
  EXPECT_TRUE(CheckRelease(release).ok());
  EXPECT_EQ(ReadReport(release).fault, "nothing answers at 10.0.0.4:9191");
  EXPECT_TRUE(ReadReport(release).served);
  release.set_fault(Long(256));
  EXPECT_TRUE(CheckRelease(release).ok());
  for (const std::string& fault : {Long(257), std::string("two\nlines"), std::string("\x1b[2J"),
                                   std::string("\x7f"), std::string("a\0b", 3)}) {
    release.set_fault(fault);
    const Status status = CheckRelease(release);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << fault;
    EXPECT_THAT(Message(status), HasSubstr("fault has at most 256 bytes"));
  }
}

TEST(TrackerCodecTest, AnswersSayWhatTheTableSays) {
  const auto hello = ReadHello(GoodHello(), kHost);
  ASSERT_TRUE(hello.ok());
  const v1::DeviceEntry entry = WriteEntry({*hello, DeviceStatus::kLeased, "ann@desk:1", 8}, {});
  EXPECT_EQ(entry.name(), "phone");
  EXPECT_EQ(entry.state(), v1::DeviceEntry::STATE_LEASED);
  EXPECT_EQ(entry.client(), "ann@desk:1");
  EXPECT_EQ(entry.epoch(), 8u);
  EXPECT_EQ(entry.labels().at("rack"), "4, top");
  const SteadyTime now{};
  DeviceView failing{*hello, DeviceStatus::kQuarantined, "", 8};
  failing.record = {"@host", 3, "broken", now + std::chrono::seconds(25)};
  const v1::DeviceEntry quarantined = WriteEntry(failing, now);
  EXPECT_EQ(quarantined.state(), v1::DeviceEntry::STATE_QUARANTINED);
  EXPECT_EQ(quarantined.failures(), 3);
  EXPECT_EQ(quarantined.fault(), "broken");
  EXPECT_EQ(quarantined.retry_ms(), 25'000);
  EXPECT_EQ(WriteEntry(failing, now + std::chrono::minutes(1)).retry_ms(), 0);
  EXPECT_EQ(WriteGrant({1, {"lease", "ann", 9, "@host"}}).grant().owner(), "@host");
  EXPECT_EQ(WriteRevoke({1, 9}).revoke().epoch(), 9u);
}

}  // namespace
}  // namespace kiln
