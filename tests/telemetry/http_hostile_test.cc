// Clients that mean harm, or do not know better.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <vector>

#include "base/clock.h"
#include "tests/telemetry/http_fixture.h"

namespace kiln {
namespace {

using HttpHostileTest = HttpFixture;
using std::chrono::milliseconds;

TEST_F(HttpHostileTest, ARequestMayComeByteByByte) {
  Start();
  RawClient client(address());
  for (const char byte : Get("/split")) ASSERT_TRUE(client.Send(std::string_view(&byte, 1)));
  EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /split? ");
}

TEST_F(HttpHostileTest, RequestsSentAheadAreAnsweredInTurn) {
  Start();
  RawClient client(address());
  std::string all;
  for (int i = 0; i < 200; ++i) all += Get("/" + std::to_string(i));
  client.Send(all);
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(BodyOf(client.ReadAnswer()), "GET /" + std::to_string(i) + "? ");
  }
}

TEST_F(HttpHostileTest, AHalfClosedClientGetsItsAnswer) {
  Start();
  RawClient client(address());
  client.Send(Get("/"));
  client.EndSending();
  EXPECT_EQ(StatusOf(client.ReadToEnd()), 200);

  RawClient broken(address());
  broken.Send("GET / HTT");
  broken.EndSending();
  EXPECT_EQ(StatusOf(broken.ReadToEnd()), 400);

  RawClient silent(address());
  silent.EndSending();
  EXPECT_EQ(silent.ReadToEnd(), "");
}

TEST_F(HttpHostileTest, LargeHeadersAreRefused) {
  Start();
  const std::string fits(7 << 10, 'x'), large(9 << 10, 'x');
  EXPECT_EQ(StatusOf(Ask(address(), Get("/", "X: " + fits + "\r\n"))), 200);
  EXPECT_EQ(StatusOf(Ask(address(), Get("/", "X: " + large + "\r\n"))), 431);
  EXPECT_EQ(StatusOf(Ask(address(), Get("/" + large))), 431);
  // Without an end, and more than the system's buffers take.
  RawClient client(address());
  client.Send("GET / HTTP/1.1\r\nX: " + std::string(256 << 10, 'x'));
  EXPECT_EQ(StatusOf(client.ReadAnswer()), 431);
  ExpectWell();
}

TEST_F(HttpHostileTest, LargeBodiesAreRefusedAnnouncedOrNot) {
  Start();
  const std::string fits(64 << 10, 'x');
  EXPECT_EQ(BodyOf(Ask(address(), Post(fits))), "POST /? " + fits);
  EXPECT_EQ(StatusOf(Ask(address(), Post(fits + "x"))), 413);
  EXPECT_EQ(StatusOf(Ask(address(), "POST / HTTP/1.1\r\nHost: " + address() +
                                        "\r\nContent-Length: 99999999999\r\n\r\n")),
            413);
  std::string chunked =
      "POST / HTTP/1.1\r\nHost: " + address() + "\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 65; ++i) chunked += "400\r\n" + std::string(1024, 'x') + "\r\n";
  EXPECT_EQ(StatusOf(Ask(address(), chunked + "0\r\n\r\n")), 413);
  ExpectWell();
}

TEST_F(HttpHostileTest, AClientThatAsksFirstIsToldToSendItsBody) {
  Start();
  RawClient client(address());
  client.Send("POST / HTTP/1.1\r\nHost: " + address() +
              "\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadAnswer(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("body");
  EXPECT_EQ(BodyOf(client.ReadAnswer()), "POST /? body");
}

TEST_F(HttpHostileTest, NonsenseIsRefused) {
  Start();
  const std::string host = "Host: " + address() + "\r\n";
  for (const std::string& request : std::vector<std::string>{
           "GET\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n" + host + host + "\r\n",
           "GET nowhere HTTP/1.1\r\n" + host + "\r\n",
           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
           "GET / HTTP/1.1\r\n" + host + "no colon\r\n\r\n",
           "CONNECT a:1 HTTP/1.1\r\n" + host + "\r\n",
           "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n",
           "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
           "POST / HTTP/1.1\r\n" + host +
               "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
    RawClient client(address());
    client.Send(request);
    client.EndSending();
    EXPECT_EQ(StatusOf(client.ReadToEnd()), 400) << request;
  }
  EXPECT_EQ(StatusOf(Ask(address(), "GET / HTTP/1.7\r\n" + host + "\r\n")), 505);
}

TEST_F(HttpHostileTest, ASlowRequestIsCutOff) {
  Start({.read = milliseconds(100)});
  RawClient client(address());
  client.Send("GET / HTTP/1.1\r\n");
  const std::string answer = client.ReadToEnd();
  EXPECT_EQ(StatusOf(answer), 408);
  RawClient body(address());
  body.Send("POST / HTTP/1.1\r\nHost: " + address() + "\r\nContent-Length: 9\r\n\r\nx");
  EXPECT_EQ(StatusOf(body.ReadToEnd()), 408);
  ExpectWell();
}

// Each byte comes in time, the request never.
TEST_F(HttpHostileTest, DrippingBytesDoesNotExtendTheTime) {
  Start({.read = milliseconds(200)});
  RawClient client(address());
  const SteadyTime start = SystemClock().Now();
  client.Send("GET / HTTP/1.1\r\nX: ");
  while (client.Send("x") && SystemClock().Now() - start < std::chrono::seconds(10)) {
  }
  EXPECT_LT(SystemClock().Now() - start, std::chrono::seconds(10));
}

TEST_F(HttpHostileTest, AnIdleConnectionIsClosedInTheEnd) {
  Start({.idle = milliseconds(50)});
  RawClient fresh(address());
  EXPECT_EQ(fresh.ReadToEnd(), "");
  RawClient used(address());
  used.Send(Get("/"));
  EXPECT_EQ(StatusOf(used.ReadToEnd()), 200);
}

TEST_F(HttpHostileTest, WhoDoesNotReadLosesItsConnection) {
  const std::string large(32 << 20, 'x');  // more than the system buffers
  Start({.connections = 1, .write = milliseconds(100)},
        [&](const HttpRequest& request, const HttpRespond& respond) {
          respond({.body = request.path == "/large" ? large : ""});
        });
  RawClient client(address());
  client.Send(Get("/large"));
  ExpectWell();  // there is room for it only once the other one is gone
  EXPECT_LT(client.ReadToEnd().size(), large.size());
}

TEST_F(HttpHostileTest, IdleConnectionsMakeRoomForNewOnes) {
  Start({.connections = 4});
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 50; ++i) idle.push_back(std::make_unique<RawClient>(address()));
  ExpectWell();
  EXPECT_EQ(idle.front()->ReadToEnd(), "");
}

// The room is full of requests that are not complete: others wait, and are served then.
TEST_F(HttpHostileTest, FullOfSlowClientsItServesOthersOnceThoseAreCutOff) {
  Start({.connections = 4, .read = milliseconds(200)});
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 12; ++i) {
    slow.push_back(std::make_unique<RawClient>(address()));
    slow.back()->Send("GET / HT");
  }
  ExpectWell();
}

TEST_F(HttpHostileTest, ConnectionsThatVanishLeaveNothing) {
  Start({.connections = 4});
  for (int i = 0; i < 300; ++i) {
    RawClient client(address());
    if (i % 3 > 0) client.Send("GET / HTTP/1.1\r\n");
    if (i % 3 > 1) client.Send("Host: " + address() + "\r\n\r\n");
  }
  ExpectWell();
}

TEST_F(HttpHostileTest, RandomBytesHurtNobody) {
  const char* given = std::getenv("KILN_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "KILN_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  Start({.read = milliseconds(500)});
  const std::string request = Post("a body of some length");
  for (int i = 0; i < 400; ++i) {
    std::string bytes = request;
    if (i % 4 == 0) {  // noise alone
      bytes.resize(random() % 2000);
      for (char& byte : bytes) byte = static_cast<char>(random());
    } else {  // a request with some bytes changed, doubled, or left out
      for (std::uint64_t change = 1 + random() % 5; change > 0 && !bytes.empty(); --change) {
        const std::size_t at = random() % bytes.size();
        if (change % 3 == 0) bytes[at] = static_cast<char>(random());
        if (change % 3 == 1) bytes.insert(at, bytes.substr(at, random() % 40));
        if (change % 3 == 2) bytes.erase(at, random() % 40);
      }
    }
    RawClient client(address());
    const std::size_t half = bytes.empty() ? 0 : random() % bytes.size();
    client.Send(bytes.substr(0, half));
    client.Send(bytes.substr(half));
    client.EndSending();
    const std::string answer = client.ReadToEnd();
    ASSERT_TRUE(answer.empty() || StatusOf(answer) >= 200) << answer;
  }
  ExpectWell();
}

}  // namespace
}  // namespace kiln
