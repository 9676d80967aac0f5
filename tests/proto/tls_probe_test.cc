#include "proto/tls_probe.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "proto/certificates.h"
#include "proto/tracker.grpc.pb.h"
#include "tests/proto/test_farm.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

// Longer than any answer takes, on a busy machine; and what a test waits for no answer.
constexpr milliseconds kPatience{20'000}, kImpatience{300};

const TestFarm& Farm() {
  static const TestFarm* farm = [] {
    static TestFarm made;
    made.Make("farm --tracker farm.local,10.0.0.1 --device box --client ann");
    made.Make("client late --not-after '2 minutes ago'");
    made.Make("client early --not-before '1 hour'");
    made.Make("tracker --name oldtracker farm.local --not-after '2 minutes ago'");
    made.Make("tracker --name newtracker farm.local --not-before '1 hour'");
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

// A gRPC server with these credentials.
class TestServer {
 public:
  explicit TestServer(std::shared_ptr<grpc::ServerCredentials> credentials,
                      const std::string& address = "127.0.0.1:0") {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address, std::move(credentials), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = address.starts_with("unix:") ? address : "127.0.0.1:" + std::to_string(port);
  }
  ~TestServer() { server_->Shutdown(std::chrono::system_clock::now()); }
  const std::string& address() const { return address_; }

 private:
  v1::Tracker::CallbackService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// As servers of Kiln have it: files that are watched, and a certificate from everybody.
std::shared_ptr<grpc::ServerCredentials> Watching(const TlsFiles& files) {
  namespace tls = grpc::experimental;
  tls::TlsServerCredentialsOptions options(
      std::make_shared<tls::FileWatcherCertificateProvider>(files.key, files.cert, files.ca, 1));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return tls::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ServerCredentials> Static(const TlsFiles& files) {
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = BytesOf(files.ca);
  options.pem_key_cert_pairs = {{BytesOf(files.key), BytesOf(files.cert)}};
  return grpc::SslServerCredentials(options);
}

// A listening socket; `serve` gets each connection, in a thread of this.
class RawServer {
 public:
  explicit RawServer(std::function<void(int fd)> serve = nullptr)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    (void)bind(fd_, reinterpret_cast<sockaddr*>(&name), size);
    listen(fd_, 16);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size);
    address_ = "127.0.0.1:" + std::to_string(ntohs(name.sin_port));
    if (!serve) return;
    thread_ = std::thread([this, serve = std::move(serve)] {
      while (true) {
        const int one = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (one < 0) return;
        serve(one);
        close(one);
      }
    });
  }
  ~RawServer() {
    shutdown(fd_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    close(fd_);
  }
  const std::string& address() const { return address_; }

 private:
  int fd_;
  std::string address_;
  std::thread thread_;
};

// Sends the text as soon as something came, and waits for the peer to go or the time to be up.
std::function<void(int)> Saying(std::string text) {
  return [text = std::move(text)](int fd) {
    char bytes[4096];
    (void)!recv(fd, bytes, sizeof bytes, 0);
    (void)!send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
  };
}

// What is said of a connection that should work but for one thing.
struct Said {
  StatusCode code;
  std::string words;
};
Said Why(const std::string& address, const TlsFiles& files, const std::string& host = "farm.local",
         milliseconds timeout = kPatience) {
  const Status status = WhyNoConnection(address, files, host, timeout);
  return {status.code(), Message(status)};
}

TEST(TlsProbeTest, AHandshakeThatWorksIsOk) {
  for (const auto& credentials : {Watching(Farm().Of("tracker")), Static(Farm().Of("tracker"))}) {
    const TestServer server(credentials);
    EXPECT_EQ(Why(server.address(), Farm().Of("ann")).words, "");
    EXPECT_EQ(Why(server.address(), Farm().Of("ann"), "10.0.0.1").words, "");
    EXPECT_EQ(Why(server.address(), Farm().Of("ann"), "").words, "");  // 127.0.0.1
    EXPECT_EQ(Why(server.address(), Farm().Of("box")).words, "");
  }
  const TestServer device(Watching(Farm().Of("box")));
  EXPECT_EQ(Why(device.address(), Farm().Of("ann"), DeviceHostName("box")).words, "");
}

TEST(TlsProbeTest, PlaintextThatWorksIsOk) {
  const TestServer server(grpc::InsecureServerCredentials());
  EXPECT_EQ(Why(server.address(), {}).words, "");
  const TemporaryDirectory place;
  const TestServer local(grpc::InsecureServerCredentials(), "unix:" + place.File("socket"));
  EXPECT_EQ(Why(local.address(), {}, "").words, "");
}

TEST(TlsProbeTest, NothingListens) {
  std::string address;
  { address = RawServer().address(); }
  for (const TlsFiles& files : {TlsFiles(), Farm().Of("ann")}) {
    const Said said = Why(address, files);
    EXPECT_EQ(said.code, StatusCode::kUnavailable);
    EXPECT_EQ(said.words, "nothing listens on " + address + " (Connection refused)");
    const TemporaryDirectory place;
    EXPECT_THAT(Why("unix:" + place.File("none"), files).words,
                AllOf(HasSubstr("nothing listens on unix:"), HasSubstr("No such file")));
  }
}

TEST(TlsProbeTest, NoSuchHostAndNoAddress) {
  const Said unknown = Why("no.such.host.invalid:1", {});
  EXPECT_EQ(unknown.code, StatusCode::kUnavailable);
  EXPECT_THAT(unknown.words, HasSubstr("there is no host no.such.host.invalid"));
  EXPECT_EQ(Why("nonsense", {}).code, StatusCode::kInvalidArgument);
  EXPECT_EQ(Why("127.0.0.1:0", {}).code, StatusCode::kInvalidArgument);
}

TEST(TlsProbeTest, APeerThatSaysNothingIsNotWaitedForForEver) {
  const RawServer server;
  for (const TlsFiles& files : {TlsFiles(), Farm().Of("ann")}) {
    const Said said = Why(server.address(), files, "farm.local", kImpatience);
    EXPECT_EQ(said.code, StatusCode::kUnavailable);
    EXPECT_THAT(said.words, HasSubstr(server.address() + " accepts connections, but says nothing "
                                                         "within 0.3 s"));
  }
}

TEST(TlsProbeTest, PlaintextClientOnATlsPort) {
  for (const auto& credentials : {Watching(Farm().Of("tracker")), Static(Farm().Of("tracker"))}) {
    const TestServer server(credentials);
    const Said said = Why(server.address(), {});
    EXPECT_EQ(said.code, StatusCode::kFailedPrecondition);
    EXPECT_EQ(said.words, server.address() + " speaks TLS: give --ca, --cert and --key");
  }
}

TEST(TlsProbeTest, TlsClientOnAPlaintextPort) {
  const TestServer server(grpc::InsecureServerCredentials());
  const Said said = Why(server.address(), Farm().Of("ann"));
  EXPECT_EQ(said.code, StatusCode::kFailedPrecondition);
  EXPECT_EQ(
      said.words,
      server.address() +
          " does not speak TLS: start it with --cert, --key and --ca, or leave out --ca here");
}

TEST(TlsProbeTest, AnotherServiceIsNamedByWhatItSays) {
  const RawServer ssh(Saying("SSH-2.0-OpenSSH_9.2\r\n"));
  const RawServer web(Saying("HTTP/1.1 400 Bad Request\r\n\r\n"));
  for (const TlsFiles& files : {TlsFiles(), Farm().Of("ann")}) {
    EXPECT_THAT(Why(ssh.address(), files).words,
                HasSubstr("is no server of Kiln (it says `SSH-2.0-OpenSSH_9.2"));
    EXPECT_THAT(Why(web.address(), files).words, HasSubstr("(it says `HTTP/1.1 400 Bad Request`)"));
  }
  const RawServer deaf([](int) {});  // closes at once
  EXPECT_THAT(Why(deaf.address(), {}).words, HasSubstr("closes the connection without a word"));
  EXPECT_THAT(Why(deaf.address(), Farm().Of("ann")).words,
              HasSubstr("closes the connection during the handshake"));
}

TEST(TlsProbeTest, GarbageOfAPeerNeverCrashes) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](int limit) {
    return std::uniform_int_distribution<int>(0, limit - 1)(random);
  };
  for (int i = 0; i < 40; ++i) {
    std::string bytes(static_cast<std::size_t>(below(300)), '\0');
    for (char& c : bytes) c = static_cast<char>(below(256));
    if (i % 2 == 0) bytes = std::string("\x16\x03\x03", 3) + bytes;
    const RawServer server(Saying(bytes));
    for (const TlsFiles& files : {TlsFiles(), Farm().Of("ann")}) {
      EXPECT_NE(Why(server.address(), files).words, "");
    }
  }
}

TEST(TlsProbeTest, ThePeersCertificateHasExpiredOrIsNotYetValid) {
  const TestServer late(Static(Farm().Of("oldtracker")));
  const Said expired = Why(late.address(), Farm().Of("ann"));
  EXPECT_EQ(expired.code, StatusCode::kUnauthenticated);
  EXPECT_THAT(expired.words, AllOf(HasSubstr("the certificate of " + late.address() +
                                             " (tracker oldtracker) expired on 2"),
                                   HasSubstr("renew it")));
  const TestServer early(Static(Farm().Of("newtracker")));
  EXPECT_THAT(
      Why(early.address(), Farm().Of("ann")).words,
      AllOf(HasSubstr("(tracker newtracker) is not valid before 2"), HasSubstr("is it right?")));
}

TEST(TlsProbeTest, ThePeersCertificateIsOfAnotherAuthority) {
  const TestServer server(Static(OtherFarm().Of("tracker")));
  const Said said = Why(server.address(), Farm().Of("ann"));
  EXPECT_EQ(said.code, StatusCode::kUnauthenticated);
  EXPECT_THAT(said.words, AllOf(HasSubstr("(tracker tracker) is of another authority, `Kiln farm "),
                                HasSubstr("than " + Farm().File("ca.crt"))));
}

TEST(TlsProbeTest, ThePeersCertificateIsForAnotherHost) {
  const TestServer server(Watching(Farm().Of("tracker")));
  const Said said = Why(server.address(), Farm().Of("ann"), "elsewhere.local");
  EXPECT_EQ(said.code, StatusCode::kUnauthenticated);
  EXPECT_THAT(said.words,
              AllOf(HasSubstr("is for localhost, 127.0.0.1, ::1, farm.local, 10.0.0.1, not for "
                              "elsewhere.local")));
  EXPECT_THAT(Why(server.address(), Farm().Of("ann"), "10.0.0.2").words,
              HasSubstr("not for 10.0.0.2"));
  const TestServer device(Watching(Farm().Of("box")));
  EXPECT_THAT(Why(device.address(), Farm().Of("ann"), DeviceHostName("other")).words,
              HasSubstr("(device box) is for box.device.kiln, not for other.device.kiln"));
}

TEST(TlsProbeTest, APeerWithAClientsCertificateIsNoServer) {
  const TestServer server(Static(Farm().Of("ann")));
  EXPECT_THAT(Why(server.address(), Farm().Of("box"), "").words,
              HasSubstr("(client ann) is none for a server"));
}

TEST(TlsProbeTest, OurCertificateIsRefused) {
  for (const auto& credentials : {Watching(Farm().Of("tracker")), Static(Farm().Of("tracker"))}) {
    const TestServer server(credentials);
    const auto why = [&](const TlsFiles& files) {
      const Said said = Why(server.address(), files);
      EXPECT_EQ(said.code, StatusCode::kUnauthenticated) << said.words;
      return said.words;
    };
    const std::string refuses = server.address() + " refuses our certificate: ";
    EXPECT_THAT(why(Farm().Of("late")),
                AllOf(HasSubstr(refuses), HasSubstr("late.crt expired on 2")));
    EXPECT_THAT(why(Farm().Of("early")),
                AllOf(HasSubstr(refuses), HasSubstr("early.crt is not valid before")));
    TlsFiles stranger = OtherFarm().Of("ann");
    stranger.ca = Farm().File("ca.crt");
    stranger.crl = "";
    EXPECT_THAT(why(stranger),
                AllOf(HasSubstr(refuses), HasSubstr("is not signed by the authority")));
    EXPECT_THAT(why(Farm().Of("tracker")),
                AllOf(HasSubstr(refuses), HasSubstr("(tracker tracker)")));
    TlsFiles nobody = Farm().Of("ann");
    nobody.cert = nobody.key = nobody.crl = "";
    EXPECT_EQ(why(nobody), server.address() + " wants a certificate: give --cert and --key");
  }
}

// We trust both authorities, it trusts one.
TEST(TlsProbeTest, ItIsThePeerWhoDoesNotKnowOurAuthority) {
  TestFarm both;
  both.place().Write("ca.crt", Farm().Bytes("ca.crt") + OtherFarm().Bytes("ca.crt"));
  TlsFiles files = OtherFarm().Of("ann");
  files.ca = both.File("ca.crt");
  files.crl.clear();
  const TestServer server(Static(Farm().Of("tracker")));
  const Said said = Why(server.address(), files);
  EXPECT_EQ(said.code, StatusCode::kUnauthenticated);
  EXPECT_THAT(said.words, AllOf(HasSubstr("refuses our certificate: "), HasSubstr("(client ann)"),
                                AnyOf(HasSubstr("its --ca is another one"),
                                      HasSubstr("the authority it knows"))));
}

TEST(TlsProbeTest, OurOwnFilesComeFirst) {
  const TestServer server(Watching(Farm().Of("tracker")));
  TlsFiles files = Farm().Of("ann");
  files.key = Farm().File("nobody.key");
  EXPECT_EQ(Why(server.address(), files).code, StatusCode::kNotFound);
  files.key = Farm().File("box.key");
  EXPECT_THAT(Why(server.address(), files).words, HasSubstr("is not the key of"));
}

}  // namespace
}  // namespace kiln
