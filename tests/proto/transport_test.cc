#include "proto/transport.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <netdb.h>
#include <unistd.h>

#include "proto/tracker.grpc.pb.h"

namespace kiln {
namespace {

using testing::AnyOf;
using testing::EndsWith;
using testing::HasSubstr;

// Listens with a service that answers nothing.
StatusOr<std::unique_ptr<RpcServer>> ListenWithService(const ListenOptions& options) {
  static v1::Tracker::CallbackService service;
  return Listen(options, {&service});
}

TEST(TransportTest, KnowsWhichAddressesStayOnThisMachine) {
  for (const char* address :
       {"127.0.0.1:0", "127.9.9.9:80", "localhost:1", "[::1]:1", "unix:/tmp/socket"}) {
    EXPECT_TRUE(IsLocalAddress(address)) << address;
  }
  for (const char* address : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1",
                              "127.0.0.1.example.org:1", "127.evil:1", "nonsense"}) {
    EXPECT_FALSE(IsLocalAddress(address)) << address;
  }
}

TEST(TransportTest, WildcardHostBecomesThePeers) {
  EXPECT_EQ(ReachableAddress("0.0.0.0:7", "ipv4:10.0.0.9:40123"), "10.0.0.9:7");
  EXPECT_EQ(ReachableAddress("[::]:7", "ipv6:%5Bfe80::1%5D:40123"), "[fe80::1]:7");
  EXPECT_EQ(ReachableAddress("[::]:7", "ipv6:[fe80::1]:40123"), "[fe80::1]:7");
  EXPECT_EQ(ReachableAddress("10.0.0.1:7", "ipv4:10.0.0.9:40123"), "10.0.0.1:7");
  EXPECT_EQ(ReachableAddress("unix:/tmp/s", "unix:"), "unix:/tmp/s");
  EXPECT_EQ(ReachableAddress("0.0.0.0:7", "unix:"), "0.0.0.0:7");
}

TEST(TransportTest, ListensOnAPortThatTheSystemPicks) {
  const auto server = ListenWithService({});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT((*server)->address(), testing::MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
}

TEST(TransportTest, OpenAddressNeedsAnExplicitWish) {
  const auto refused = ListenWithService({"0.0.0.0:0", false});
  EXPECT_EQ(refused.status().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(Message(refused.status()), HasSubstr("--insecure"));
  EXPECT_TRUE(ListenWithService({"0.0.0.0:0", true}).ok());
}

TEST(TransportTest, AddressInUseIsUnavailable) {
  const auto server = ListenWithService({});
  ASSERT_TRUE(server.ok());
  EXPECT_EQ(ListenWithService({(*server)->address(), false}).status().code(),
            StatusCode::kUnavailable);
}

TEST(TransportTest, SaysWhyItCannotListen) {
  const auto why = [](const std::string& address) {
    return Message(ListenWithService({address, true}).status());
  };
  const auto server = ListenWithService({});
  ASSERT_TRUE(server.ok());
  EXPECT_THAT(why((*server)->address()), HasSubstr("Address already in use"));
  EXPECT_THAT(why("192.0.2.1:0"), HasSubstr("Cannot assign requested address"));
  // Whatever the resolver says here, behind the address.
  EXPECT_THAT(why("no.such.host.invalid:0"),
              AnyOf(EndsWith(gai_strerror(EAI_NONAME)), EndsWith(gai_strerror(EAI_AGAIN)),
                    EndsWith(gai_strerror(EAI_FAIL)), EndsWith(gai_strerror(EAI_NODATA))));
  EXPECT_THAT(why("unix:/proc/no/socket"), HasSubstr("No such file or directory"));
  EXPECT_THAT(why("unix:/" + std::string(107, 'x')),
              HasSubstr("a socket's path has at most 107 bytes, this one 108"));
  if (geteuid() != 0) {
    EXPECT_THAT(why("127.0.0.1:80"), HasSubstr("Permission denied"));
  }
}

TEST(TransportTest, KnowsWhereAServerCanBeDialled) {
  for (const char* address : {"127.0.0.1:1", "localhost:65535", "[::1]:80", "unix:/tmp/socket"}) {
    EXPECT_TRUE(CheckAddress(address).ok()) << CheckAddress(address);
  }
  for (const std::string address :
       {"", "localhost", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999",
        "127.0.0.1:-1", "127.0.0.1:80x", ":80", "unix:", "::1:80"}) {
    EXPECT_EQ(CheckAddress(address).code(), StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(Message(CheckAddress(address)), HasSubstr("`" + address + "`"));
  }
}

TEST(TransportTest, WhatIsNoAddressIsRefused) {
  for (const char* address : {"", ":", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:x",
                              "127.0.0.1:65536", "127.0.0.1:-1", "::1:80"}) {
    EXPECT_EQ(ListenWithService({address, true}).status().code(), StatusCode::kInvalidArgument)
        << address;
  }
}

TEST(TransportTest, StatusSurvivesTheWire) {
  const Status status = Error(StatusCode::kFailedPrecondition, "over");
  EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  EXPECT_TRUE(FromGrpc(ToGrpc(absl::OkStatus())).ok());
}

TEST(TransportTest, ServerThatCancelsIsUnavailable) {
  EXPECT_EQ(FromGrpc(grpc::Status::CANCELLED).code(), StatusCode::kUnavailable);
}

TEST(TransportTest, OtherProtocolsAreRefusedWithAWord) {
  EXPECT_TRUE(CheckProtocol(kProtocolVersion, "the device", "the tracker").ok());
  const Status newer = CheckProtocol(kProtocolVersion + 1, "the device", "the tracker");
  EXPECT_EQ(newer.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(newer), HasSubstr("the device speaks protocol version " +
                                        std::to_string(kProtocolVersion + 1)));
  EXPECT_THAT(Message(newer), testing::EndsWith(": upgrade the tracker"));
  EXPECT_TRUE(CheckProtocol(kOldestProtocolVersion, "the device", "the tracker").ok());
  const Status older = CheckProtocol(kOldestProtocolVersion - 1, "the device", "the tracker");
  EXPECT_THAT(Message(older), testing::EndsWith(": upgrade the device"));
}

}  // namespace
}  // namespace kiln
