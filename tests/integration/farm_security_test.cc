// A farm over mutual TLS, by the real programs and with certificates of scripts/make-certs: that it
// works, and what is said where it does not.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include "base/paths.h"
#include "proto/device.grpc.pb.h"
#include "proto/tracker.grpc.pb.h"
#include "proto/transport.h"
#include "tests/integration/cuttable_link.h"
#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/integration/stored_trials.h"
#include "tests/proto/test_farm.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

constexpr char kPointwise[] =
    "conv2d/i8/n1h4w4c16/o16/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=step1/double";
// With more configs than a test's time is enough for.
constexpr char kConv[] =
    "conv2d/i8/n1h14w14c32/o48/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
// What every machine of this kind serves.
#if defined(__x86_64__)
constexpr char kGeneric[] = "x86-64";
#else
constexpr char kGeneric[] = "armv8-a";
#endif
// A connection that is gone without a word is noticed after 15 s: what comes sooner has not waited
// for that.
constexpr std::chrono::seconds kSoon{12};

using Words = std::vector<std::string>;

Words Plus(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// The options that name the files; those that are empty are left out.
Words Options(const TlsFiles& tls) {
  Words options;
  const std::pair<const char*, const std::string&> all[] = {
      {"--ca", tls.ca}, {"--cert", tls.cert}, {"--key", tls.key}, {"--crl", tls.crl}};
  for (const auto& [option, file] : all) {
    if (!file.empty()) options.insert(options.end(), {option, file});
  }
  return options;
}

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

bool Says(const RunningProgram& program, const std::string& what) {
  return program.WaitUntil([&] { return program.err().find(what) != std::string::npos; });
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
}

// A client of nobody's making: it checks nothing of its own before it calls.
std::shared_ptr<grpc::Channel> RawChannel(const std::string& address, const TlsFiles& tls,
                                          const std::string& host = "localhost") {
  using grpc::experimental::StaticDataCertificateProvider;
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<StaticDataCertificateProvider>(
      BytesOf(tls.ca),
      std::vector<grpc::experimental::IdentityKeyCertPair>{{BytesOf(tls.key), BytesOf(tls.cert)}}));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(host);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::experimental::TlsCredentials(options), arguments);
}

v1::DeviceReport HelloOf(const std::string& name) {
  v1::DeviceReport report;
  v1::DeviceHello& hello = *report.mutable_hello();
  hello.set_protocol(kProtocolVersion);
  hello.set_build("a test");
  hello.set_name(name);
  hello.set_instance("instance-of-a-test");
  hello.set_target("nothing");
  hello.set_cores(1);
  hello.set_address("127.0.0.1:1");
  return report;
}

// A tracker as somebody calls it without our client.
class RawTracker {
 public:
  RawTracker(const std::string& address, const TlsFiles& tls)
      : stub_(v1::Tracker::NewStub(RawChannel(address, tls))) {}

  // How a device's connection ends that says this; it is not expected to be taken.
  grpc::Status Serve(const v1::DeviceReport& hello) const {
    grpc::ClientContext context;
    SetDeadline(context);
    const auto stream = stub_->Serve(&context);
    stream->Write(hello);
    v1::DeviceCommand command;
    while (stream->Read(&command)) {
    }
    return stream->Finish();
  }
  grpc::Status List() const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListDevicesReply reply;
    return stub_->ListDevices(&context, {}, &reply);
  }
  grpc::Status Acquire(const std::string& target, v1::AcquireLeaseReply* lease,
                       int protocol = kProtocolVersion) const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::AcquireLeaseRequest request;
    request.set_protocol(protocol);
    request.set_lease_id("lease");
    request.set_client("a-test");
    request.set_target(target);
    request.set_time_kind("measured");
    request.set_wait_ms(std::chrono::milliseconds(kSoon).count());
    return stub_->AcquireLease(&context, request, lease);
  }
  grpc::Status Renew(const v1::AcquireLeaseReply& lease) const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::RenewLeaseRequest request;
    request.set_lease_id(lease.lease_id());
    request.set_device(lease.device());
    request.set_epoch(lease.epoch());
    v1::RenewLeaseReply reply;
    return stub_->RenewLease(&context, request, &reply);
  }
  grpc::Status Release(const v1::AcquireLeaseReply& lease, const std::string& device) const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ReleaseLeaseRequest request;
    request.set_lease_id(lease.lease_id());
    request.set_device(device);
    request.set_epoch(lease.epoch());
    v1::ReleaseLeaseReply reply;
    return stub_->ReleaseLease(&context, request, &reply);
  }

 private:
  const std::unique_ptr<v1::Tracker::Stub> stub_;
};

// How a call of Measure ends that names this lease and asks for nothing.
grpc::Status Measure(const v1::AcquireLeaseReply& lease, const TlsFiles& tls,
                     int protocol = kProtocolVersion) {
  const auto stub =
      v1::Device::NewStub(RawChannel(lease.address(), tls, DeviceHostName(lease.device())));
  grpc::ClientContext context;
  SetDeadline(context);
  context.AddMetadata(kProtocolMetadata, std::to_string(protocol));
  context.AddMetadata(kLeaseMetadata, lease.lease_id());
  context.AddMetadata(kEpochMetadata, std::to_string(lease.epoch()));
  const auto stream = stub->Measure(&context);
  stream->WritesDone();
  v1::MeasureReply reply;
  while (stream->Read(&reply)) {
  }
  return stream->Finish();
}

class FarmSecurityTest : public KilnTest {
 protected:
  void SetUp() override { farm_.Make("farm --tracker localhost --device pi,box --client ann,bob"); }

  std::unique_ptr<RunningProgram> Start(const Words& command) const {
    return std::make_unique<RunningProgram>(scratch_, command);
  }
  void StartTracker(const std::string& listen = "127.0.0.1:0", const char* lease_ttl = "600") {
    tracker_ = Start(Plus({"kiln-tracker", "--listen", listen, "--lease-ttl", lease_ttl},
                          Options(Of("tracker"))));
    address_ = tracker_->Address();
  }
  std::unique_ptr<RunningProgram> StartDevice(const std::string& name,
                                              const Words& what = {"--target", "native"}) const {
    return Start(Plus(Plus({"kiln-server", "--tracker", address_}, what), Options(Of(name))));
  }
  std::unique_ptr<RunningProgram> StartRegisteredDevice(const std::string& name,
                                                        const Words& what = {"--target",
                                                                             "native"}) {
    auto device = StartDevice(name, what);
    EXPECT_TRUE(device->WaitUntil([&] { return FieldOf(name, "state") == "free"; }))
        << device->err();
    return device;
  }

  TlsFiles Of(const std::string& name) const { return farm_.Of(name); }
  // A client does not take a list of the revoked.
  TlsFiles ForClient(const std::string& name, const TestFarm* farm = nullptr) const {
    TlsFiles files = (farm ? farm : &farm_)->Of(name);
    files.crl.clear();
    return files;
  }
  RawTracker As(const std::string& name) const { return RawTracker(address_, Of(name)); }

  Outcome KilnAs(const TlsFiles& tls, const Words& arguments) const {
    return Kiln(Plus(arguments, Options(tls)));
  }
  Outcome Devices(const TlsFiles& tls) const {
    return KilnAs(tls, {"devices", "--tracker", address_});
  }
  // It fails with this status and one line with all the words.
  void ExpectRefusal(const Outcome& outcome, int status, const Words& words) const {
    EXPECT_EQ(outcome.status, status) << outcome.err;
    EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
    for (const std::string& word : words) EXPECT_THAT(outcome.err, HasSubstr(word));
  }
  // What the tracker says to ann of a device.
  std::string FieldOf(const std::string& device, const std::string& field) const {
    const Outcome outcome = KilnAs(ForClient("ann"), {"devices", "--json", "--tracker", address_});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    for (const auto& line : JsonLines(outcome.out)) {
      if (line["name"] == device) return line[field];
    }
    return "";
  }
  Words TuneCommand(const std::string& who, int trials, const std::string& workload) const {
    return Plus({"kiln", "tune", "--tracker", address_, "--trials", std::to_string(trials),
                 "--workload", workload, "--policy", "random"},
                Options(ForClient(who)));
  }

  TestFarm farm_;
  std::unique_ptr<RunningProgram> tracker_;
  std::string address_;
};

TEST_F(FarmSecurityTest, DevicesOfThreeKindsAreListedVerifiedAndTunedOverTls) {
  const bool emulated = FindProgram("qemu-aarch64").ok() && FindHelper("kiln-host-aarch64").ok();
  farm_.Make("device rasp4b pixel6");
  StartTracker();
  std::map<std::string, std::unique_ptr<RunningProgram>> devices;
  devices["pi"] = StartDevice("pi");
  if (emulated) {
    devices["rasp4b"] = StartDevice(
        "rasp4b", {"--target", "rasp4b", "--emulator", "qemu-aarch64", "--cpu", "cortex-a72"});
    devices["pixel6"] =
        StartDevice("pixel6", {"--target", "pixel6", "--emulator", "qemu-aarch64", "--cpu", "max"});
  }
  for (const auto& [name, device] : devices) {
    ASSERT_TRUE(device->WaitUntil([&, name = name] { return FieldOf(name, "state") == "free"; }))
        << device->err();
    const std::string target = FieldOf(name, "target");
    const Words what = {"--tracker", address_, "--target", target, "--workload", kPointwise};
    const Outcome verified =
        KilnAs(ForClient("ann"), Plus(Plus({"verify"}, what), {"--samples", "2"}));
    EXPECT_EQ(verified.status, 0) << verified.err;
    EXPECT_THAT(verified.out, HasSubstr("all bit-exact"));
    const Outcome tuned = KilnAs(ForClient("bob"), Plus(Plus({"tune"}, what), {"--trials", "4"}));
    EXPECT_EQ(tuned.status, 0) << tuned.err;
    const Outcome history =
        Kiln({"history", "--target", target, "--workload", kPointwise, "--json"});
    const auto trials = JsonLines(history.out);
    EXPECT_EQ(trials.size(), 4u);
    for (const auto& trial : trials) EXPECT_EQ(trial["device"], name);
    EXPECT_TRUE(tracker_->WaitUntil([&, name = name] { return FieldOf(name, "state") == "free"; }));
  }
  EXPECT_THAT(tracker_->err(), Not(HasSubstr("warning")));
  if (!emulated) {
    GTEST_SKIP() << "SKIPPED: only a device of this machine: no qemu-aarch64 or kiln-host-aarch64";
  }
}

TEST_F(FarmSecurityTest, AFarmOfOneSpeaksTlsToItself) {
  const auto device = Start(Plus({"kiln-server", "--target", "native"}, Options(Of("pi"))));
  address_ = device->Address();
  // A device is dialled by its own name only where it has a tracker: here it needs a host's.
  ExpectRefusal(Devices(ForClient("ann")), 1, {"(device pi) is for pi.device.kiln"});
  farm_.Make("device alone --host 127.0.0.1");
  const auto alone = Start(Plus({"kiln-server", "--target", "native"}, Options(Of("alone"))));
  address_ = alone->Address();
  EXPECT_TRUE(alone->WaitUntil([&] { return FieldOf("alone", "state") == "free"; }))
      << alone->err();
  const Outcome tuned = RunProgram(scratch_, TuneCommand("ann", 2, kPointwise));
  EXPECT_EQ(tuned.status, 0) << tuned.err;
}

// -- what is wrong with one's own files

TEST_F(FarmSecurityTest, AProgramSaysWhatIsWrongWithItsOwnFiles) {
  TestFarm other;
  other.Make("farm --tracker localhost --client ann");
  farm_.Make("client old --not-after yesterday");
  farm_.Make("client early --not-before tomorrow --not-after '3 days'");
  MakeOdd(farm_, "odd", "extendedKeyUsage=clientAuth,serverAuth\n");
  StartTracker();
  const auto with = [&](auto change) {
    TlsFiles files = ForClient("ann");
    change(files);
    return files;
  };
  const auto named = [&](const std::string& name) { return ForClient(name); };
  struct {
    TlsFiles files;
    int status;
    Words words;
  } cases[] = {
      {named("old"), 1, {"old.crt expired on", "make-certs renew"}},
      {named("early"), 1, {"early.crt is not valid before", "the clock here says"}},
      {named("pi"), 1, {"kiln needs a certificate with the role client", "that of device pi"}},
      {named("tracker"), 1, {"the role client", "that of tracker tracker"}},
      {named("odd"), 1, {"odd.crt names no role of Kiln", "scripts/make-certs"}},
      {with([&](TlsFiles& files) { files.ca = other.File("ca.crt"); }),
       1,
       {"ann.crt is not signed by the authority"}},
      {with([&](TlsFiles& files) { files.key = Of("bob").key; }),
       1,
       {"bob.key is not the key of", "ann.crt"}},
      {with([&](TlsFiles& files) { files.key = "nowhere.key"; }), 1, {"nowhere.key"}},
      {with([&](TlsFiles& files) { files.key.clear(); }), 2, {"requires --key"}},
      {with([&](TlsFiles& files) { files.cert.clear(); }), 2, {"requires --cert"}},
      {with([&](TlsFiles& files) { files.ca.clear(); }), 2, {"requires --ca"}},
  };
  for (const auto& one : cases) ExpectRefusal(Devices(one.files), one.status, one.words);
  EXPECT_EQ(Devices(ForClient("ann")).status, 0);

  const Outcome client_serves = RunProgram(
      scratch_,
      Plus({"kiln-server", "--target", "native", "--tracker", address_}, Options(Of("ann"))));
  ExpectRefusal(client_serves, 1,
                {"kiln-server needs a certificate with the role device", "that of client ann"});
  const Outcome device_tracks =
      RunProgram(scratch_, Plus({"kiln-tracker", "--listen", "127.0.0.1:0"}, Options(Of("pi"))));
  ExpectRefusal(device_tracks, 1,
                {"kiln-tracker needs a certificate with the role tracker", "that of device pi"});
  const Outcome stolen_name = RunProgram(
      scratch_, Plus({"kiln-server", "--target", "native", "--tracker", address_, "--name", "box"},
                     Options(Of("pi"))));
  ExpectRefusal(stolen_name, 2, {"--name box is not that of", "which is pi"});
  farm_.Make("revoke pi");
  const Outcome revoked = RunProgram(
      scratch_,
      Plus({"kiln-server", "--target", "native", "--tracker", address_}, Options(Of("pi"))));
  ExpectRefusal(revoked, 1, {"pi.crt has been revoked"});
}

// -- what is wrong with the other side

TEST_F(FarmSecurityTest, AClientSaysWhyTheTrackerIsNotTheOneItWants) {
  TestFarm other;
  other.Make("farm --tracker localhost --client ann");
  StartTracker("127.0.0.2:0");
  ExpectRefusal(Devices(ForClient("ann")), 1,
                {"the certificate of 127.0.0.2:", "(tracker tracker) is for localhost",
                 "not for 127.0.0.2: dial it by a name that it is for"});
  StartTracker();
  EXPECT_EQ(Devices(ForClient("ann")).status, 0);
  ExpectRefusal(Devices(ForClient("ann", &other)), 1, {"is of another authority", "than "});
  ExpectRefusal(Devices({}), 1, {address_ + " speaks TLS: give --ca, --cert and --key"});
  EXPECT_EQ(Devices(ForClient("ann")).status, 0) << "served on";

  const auto plain = Start({"kiln-tracker", "--listen", "127.0.0.1:0"});
  address_ = plain->Address();
  ExpectRefusal(Devices(ForClient("ann")), 1, {address_ + " does not speak TLS", "leave out --ca"});
  EXPECT_EQ(Devices({}).status, 0) << "served on";
}

TEST_F(FarmSecurityTest, ADeviceSaysOnceWhyItFindsNoTracker) {
  TestFarm other;
  other.Make("farm --tracker localhost --device pi");
  StartTracker();
  const auto plain = Start({"kiln-tracker", "--listen", "127.0.0.1:0"});
  const std::string plain_address = plain->Address();
  const auto serve = [&](const std::string& tracker, const TlsFiles& files) {
    return Start(Plus({"kiln-server", "--target", "native", "--tracker", tracker}, Options(files)));
  };
  struct {
    std::unique_ptr<RunningProgram> device;
    std::string words;
  } cases[] = {
      {serve(address_, other.Of("pi")), "is of another authority"},
      {serve(plain_address, Of("pi")), "does not speak TLS: start it with --cert"},
      {serve(address_, {}), "speaks TLS: give --ca, --cert and --key"},
  };
  for (const auto& one : cases) {
    EXPECT_TRUE(Says(*one.device, one.words)) << one.device->err();
    EXPECT_THAT(one.device->err(), HasSubstr("no connection to tracker"));
  }
  // By now each has had the time to try again.
  const auto last = serve("127.0.0.1:1", Of("box"));
  EXPECT_TRUE(Says(*last, "nothing listens on 127.0.0.1:1")) << last->err();
  for (const auto& one : cases) {
    EXPECT_EQ(Count(one.device->err(), one.words), 1) << one.device->err();
    EXPECT_EQ(Count(one.device->err(), "no connection to tracker"), 1) << one.device->err();
  }
  // As soon as all is right it comes by itself.
  plain->Signal(SIGTERM);
  EXPECT_EQ(plain->Wait().status, 0);
  StartTracker(plain_address);
  EXPECT_TRUE(cases[1].device->WaitUntil([&] { return FieldOf("pi", "state") == "free"; }))
      << cases[1].device->err();
  for (const auto& one : cases) {
    one.device->Signal(SIGTERM);
    EXPECT_EQ(one.device->Wait().status, 0);
  }
}

// -- what the tracker refuses

TEST_F(FarmSecurityTest, TheTrackerRefusesCertificatesThatAProgramWouldNotUse) {
  farm_.Make("client old --not-after yesterday");
  MakeOdd(farm_, "odd", "extendedKeyUsage=clientAuth,serverAuth\n");
  TestFarm other;
  other.Make("farm --tracker localhost --client ann");
  StartTracker();
  EXPECT_TRUE(As("ann").List().ok());
  EXPECT_EQ(As("old").List().error_code(), grpc::UNAVAILABLE) << "no handshake";
  const grpc::Status odd = As("odd").List();
  EXPECT_EQ(odd.error_code(), grpc::UNAUTHENTICATED);
  EXPECT_THAT(odd.error_message(), HasSubstr("names no role of Kiln"));
  TlsFiles strange = other.Of("ann");
  strange.ca = farm_.File("ca.crt");
  EXPECT_EQ(RawTracker(address_, strange).List().error_code(), grpc::UNAVAILABLE) << "no handshake";
  EXPECT_TRUE(As("ann").List().ok()) << "served on";
}

TEST_F(FarmSecurityTest, ACertificateThatExpiresWhileItsConnectionLastsIsRefused) {
  StartTracker();
  farm_.Make("client brief --not-after '8 seconds'");
  const RawTracker brief = As("brief");
  ASSERT_TRUE(brief.List().ok()) << "a machine too slow for this test";
  grpc::Status status;
  EXPECT_TRUE(tracker_->WaitUntil([&] { return !(status = brief.List()).ok(); }));
  EXPECT_EQ(status.error_code(), grpc::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("the certificate of client brief expired on"));
}

TEST_F(FarmSecurityTest, EachRoleMayDoItsOwnOnly) {
  StartTracker();
  const grpc::Status serve = As("ann").Serve(HelloOf("ann"));
  EXPECT_EQ(serve.error_code(), grpc::PERMISSION_DENIED);
  EXPECT_THAT(serve.error_message(), HasSubstr("client ann may not call Serve"));
  EXPECT_THAT(serve.error_message(), HasSubstr("a certificate with the role device"));
  v1::AcquireLeaseReply lease;
  const grpc::Status acquire = As("pi").Acquire("any", &lease);
  EXPECT_EQ(acquire.error_code(), grpc::PERMISSION_DENIED);
  EXPECT_THAT(acquire.error_message(), HasSubstr("device pi may not call AcquireLease"));
  EXPECT_EQ(As("pi").List().error_code(), grpc::PERMISSION_DENIED);
  EXPECT_EQ(As("tracker").List().error_code(), grpc::UNAVAILABLE)
      << "a tracker's certificate is none for a client";
}

TEST_F(FarmSecurityTest, ADevicesNameIsThatOfItsCertificate) {
  StartTracker();
  const auto device = StartRegisteredDevice("pi");
  const std::string address = FieldOf("pi", "address");
  const grpc::Status stolen = As("box").Serve(HelloOf("pi"));
  EXPECT_EQ(stolen.error_code(), grpc::PERMISSION_DENIED);
  EXPECT_THAT(stolen.error_message(),
              HasSubstr("that of device box, which is its name here: it cannot register as pi"));
  device->Signal(SIGTERM);
  device->Wait();
  ASSERT_TRUE(tracker_->WaitUntil([&] { return FieldOf("pi", "state") == "lost"; }));
  EXPECT_EQ(As("box").Serve(HelloOf("pi")).error_code(), grpc::PERMISSION_DENIED);
  EXPECT_EQ(FieldOf("pi", "address"), address);
}

TEST_F(FarmSecurityTest, ALeaseIsTheAffairOfItsClientOnly) {
  StartTracker();
  const auto device = StartRegisteredDevice("pi");
  const RawTracker ann = As("ann"), bob = As("bob");
  v1::AcquireLeaseReply lease, repeated;
  const std::string target = FieldOf("pi", "target");
  const grpc::Status granted = ann.Acquire(target, &lease);
  ASSERT_TRUE(granted.ok()) << granted.error_message();
  EXPECT_EQ(bob.Acquire(target, &repeated).error_code(), grpc::PERMISSION_DENIED)
      << "the id is ann's";
  EXPECT_EQ(bob.Renew(lease).error_code(), grpc::PERMISSION_DENIED);
  EXPECT_EQ(bob.Release(lease, "pi").error_code(), grpc::PERMISSION_DENIED);
  EXPECT_EQ(bob.Release(lease, "").error_code(), grpc::PERMISSION_DENIED);
  const grpc::Status measured = Measure(lease, Of("bob"));
  EXPECT_EQ(measured.error_code(), grpc::PERMISSION_DENIED);
  EXPECT_THAT(measured.error_message(), HasSubstr("the lease is that of client/ann"));
  EXPECT_EQ(Measure(lease, Of("box")).error_code(), grpc::PERMISSION_DENIED) << "a device";
  EXPECT_EQ(FieldOf("pi", "state"), "leased");
  EXPECT_TRUE(Measure(lease, Of("ann")).ok());
  EXPECT_TRUE(ann.Renew(lease).ok());
  EXPECT_TRUE(ann.Release(lease, "pi").ok());
  EXPECT_EQ(FieldOf("pi", "state"), "free");
}

TEST_F(FarmSecurityTest, OtherVersionsAreToldWhichSideToUpgrade) {
  StartTracker();
  const auto device = StartRegisteredDevice("pi");
  const std::string target = FieldOf("pi", "target");
  v1::DeviceReport hello = HelloOf("box");
  v1::AcquireLeaseReply lease;
  const auto expect = [](const grpc::Status& status, const std::string& side) {
    EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
    EXPECT_TRUE(status.error_message().ends_with(": upgrade " + side)) << status.error_message();
  };
  hello.mutable_hello()->set_protocol(2);
  expect(As("box").Serve(hello), "the device");
  hello.mutable_hello()->set_protocol(kProtocolVersion + 1);
  expect(As("box").Serve(hello), "the tracker");
  expect(As("ann").Acquire(target, &lease, 2), "the client");
  expect(As("ann").Acquire(target, &lease, kProtocolVersion + 1), "the tracker");
  ASSERT_TRUE(As("ann").Acquire(target, &lease).ok());
  expect(Measure(lease, Of("ann"), 2), "the client");
  expect(Measure(lease, Of("ann"), kProtocolVersion + 1), "the device");
}

// -- what changes while the farm runs

TEST_F(FarmSecurityTest, ARevokedClientIsRefusedFromThenOn) {
  StartTracker();
  const RawTracker open = As("ann");
  ASSERT_TRUE(open.List().ok());
  farm_.Make("revoke ann");
  grpc::Status status;
  EXPECT_TRUE(tracker_->WaitUntil([&] { return !(status = open.List()).ok(); }, kSoon))
      << "on an open connection";
  EXPECT_EQ(status.error_code(), grpc::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("the certificate of client ann has been revoked"));
  ExpectRefusal(Devices(ForClient("ann")), 1, {"the certificate of client ann has been revoked"});
  EXPECT_EQ(Devices(ForClient("bob")).status, 0);
}

TEST_F(FarmSecurityTest, ARevokedDeviceIsLostUntilItHasAnotherCertificate) {
  StartTracker();
  const auto device = StartRegisteredDevice("pi");
  const auto other = StartRegisteredDevice("box");
  farm_.Make("revoke pi");
  EXPECT_TRUE(tracker_->WaitUntil([&] { return FieldOf("pi", "state") == "lost"; }, kSoon));
  EXPECT_TRUE(Says(*device, "the certificate of device pi has been revoked")) << device->err();
  EXPECT_EQ(FieldOf("box", "state"), "free");
  farm_.Make("device pi");
  EXPECT_TRUE(device->WaitUntil([&] { return FieldOf("pi", "state") == "free"; }))
      << "the running program does not take up its new certificate: " << device->err();
}

// What the program on this address shows: the serial number of its certificate.
std::string SerialShownBy(const std::string& address, const TestFarm& farm) {
  const std::string command = "openssl s_client -connect " + address + " -cert '" +
                              farm.File("bob.crt") + "' -key '" + farm.File("bob.key") +
                              "' </dev/null 2>/dev/null | openssl x509 -noout -serial 2>/dev/null";
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 256> block;
  while (pipe && std::fgets(block.data(), block.size(), pipe)) text += block.data();
  if (pipe) pclose(pipe);
  return text;
}

TEST_F(FarmSecurityTest, RenewedCertificatesAreTakenUpWithoutARestart) {
  StartTracker();
  auto device = StartRegisteredDevice("pi");
  const std::string device_address = FieldOf("pi", "address");
  const std::string before[] = {SerialShownBy(address_, farm_),
                                SerialShownBy(device_address, farm_)};
  ASSERT_THAT(before[0], HasSubstr("serial="));
  ASSERT_THAT(before[1], HasSubstr("serial="));
  RunningProgram tuner(scratch_, TuneCommand("ann", 1'000'000, kConv));
  const auto trials = [&] { return ReadTrials(scratch_.database()).size(); };
  ASSERT_TRUE(tuner.WaitUntil([&] { return trials() >= 2; })) << tuner.err();
  const RawTracker open = As("bob");
  ASSERT_TRUE(open.List().ok());

  farm_.Make("renew --all --new-key");
  EXPECT_TRUE(tracker_->WaitUntil([&] {
    const std::string now = SerialShownBy(address_, farm_);
    return !now.empty() && now != before[0];
  })) << "the tracker's new connections";
  EXPECT_TRUE(device->WaitUntil([&] {
    const std::string now = SerialShownBy(device_address, farm_);
    return !now.empty() && now != before[1];
  })) << "the device's new connections";
  const std::size_t made = trials();
  EXPECT_TRUE(tuner.WaitUntil([&] { return trials() >= made + 2; })) << tuner.err();
  EXPECT_TRUE(open.List().ok()) << "its certificate is still good";
  EXPECT_EQ(Devices(ForClient("ann")).status, 0);

  // A device that comes anew takes over, and the tuning goes on on it.
  device->Signal(SIGTERM);
  EXPECT_EQ(device->Wait().status, 0);
  device = StartDevice("pi");
  const std::size_t then = trials();
  EXPECT_TRUE(tuner.WaitUntil([&] { return trials() >= then + 2; }))
      << tuner.err() << device->err();
  tuner.Signal(SIGTERM);
  EXPECT_EQ(tuner.Wait().status, 130);
}

// Its connections are older than the new certificate.
TEST_F(FarmSecurityTest, ATunerWhoseCertificateWasRenewedOutlivesTheFormerOne) {
  StartTracker("127.0.0.1:0", "4");
  const auto device = StartRegisteredDevice("pi");
  farm_.Make("client brief --not-after '20 seconds'");
  RunningProgram tuner(scratch_, TuneCommand("brief", 1'000'000, kConv));
  const auto trials = [&] { return ReadTrials(scratch_.database()).size(); };
  ASSERT_TRUE(tuner.WaitUntil([&] { return trials() >= 1; })) << tuner.err();
  farm_.Make("renew brief");
  ASSERT_TRUE(Says(*tracker_, "the certificate of client brief expired on")) << tracker_->err();
  // From here on a time to live passes until a lease that nobody renews has ended.
  // Of a device that the tuner does not want.
  const auto clock = StartRegisteredDevice("box", {"--target", kGeneric});
  v1::AcquireLeaseReply unused;
  ASSERT_TRUE(As("bob").Acquire(kGeneric, &unused).ok());
  EXPECT_TRUE(tracker_->WaitUntil([&] { return FieldOf("box", "state") == "free"; }));
  const std::size_t made = trials();
  EXPECT_TRUE(tuner.WaitUntil([&] { return trials() >= made + 2; })) << tuner.err();
  // Which call is refused first is a matter of time, but none is twice: the next goes over a new
  // connection.
  int refused = 0;
  for (const std::string method : {"RenewLease", "ListDevices", "AcquireLease", "ReleaseLease"}) {
    const auto times = Count(tracker_->err(), "call of " + method);
    EXPECT_LE(times, 1) << method << tracker_->err();
    refused += static_cast<int>(times);
  }
  EXPECT_GE(refused, 1) << tracker_->err();
  tuner.Signal(SIGTERM);
  EXPECT_EQ(tuner.Wait().status, 130);
}

TEST_F(FarmSecurityTest, ARestartedDeviceReplacesAFormerOneAtOnceWhichStaysAway) {
  StartTracker();
  const auto first = StartRegisteredDevice("pi");
  const std::string target = FieldOf("pi", "target"), former = FieldOf("pi", "address");
  first->Signal(SIGSTOP);
  const auto second = StartDevice("pi");
  const std::string address = second->Address();
  EXPECT_TRUE(second->WaitUntil([&] { return FieldOf("pi", "address") == address; }, kSoon))
      << second->err();
  v1::AcquireLeaseReply lease;
  const grpc::Status granted = As("ann").Acquire(target, &lease);
  ASSERT_TRUE(granted.ok()) << granted.error_message();
  EXPECT_EQ(lease.address(), address);

  first->Signal(SIGCONT);
  EXPECT_TRUE(Says(*first, "another kiln-server with this device's certificate has registered"))
      << first->err();
  EXPECT_TRUE(Says(*first, "stays away until it is restarted")) << first->err();
  EXPECT_THAT(first->err(), Not(HasSubstr("trying again")));
  EXPECT_TRUE(As("ann").Release(lease, "pi").ok());
  const Outcome tuned = RunProgram(scratch_, TuneCommand("ann", 4, kPointwise));
  EXPECT_EQ(tuned.status, 0) << tuned.err;
  EXPECT_EQ(FieldOf("pi", "address"), address);
  EXPECT_THAT(second->err(), Not(HasSubstr("stays away")));
  EXPECT_EQ(Count(tracker_->err(), "registered: "), 2) << tracker_->err();
  first->Signal(SIGTERM);
  EXPECT_EQ(first->Wait().status, 0);
}

// Its connection is cut without a word, so that it dials again for all it knows.
TEST_F(FarmSecurityTest, AReplacedDeviceThatDidNotHearOfItStaysAwayWhenItComesBack) {
  StartTracker();
  CuttableLink link("127.0.0.1:0", address_);
  const auto first = Start(
      Plus({"kiln-server", "--tracker", link.address(), "--target", "native"}, Options(Of("pi"))));
  EXPECT_TRUE(first->WaitUntil([&] { return FieldOf("pi", "state") == "free"; })) << first->err();
  link.Cut();
  const auto second = StartDevice("pi");
  const std::string address = second->Address();
  ASSERT_TRUE(second->WaitUntil([&] { return FieldOf("pi", "address") == address; }))
      << second->err();
  EXPECT_TRUE(Says(*first, "no connection to tracker")) << "it has not noticed the cut";
  link.Restore();
  EXPECT_TRUE(Says(*first, "stays away until it is restarted")) << first->err();
  EXPECT_EQ(FieldOf("pi", "address"), address);
  EXPECT_THAT(second->err(), Not(HasSubstr("stays away")));
  EXPECT_EQ(Count(tracker_->err(), "registered: "), 2) << tracker_->err();
}

}  // namespace
}  // namespace kiln
