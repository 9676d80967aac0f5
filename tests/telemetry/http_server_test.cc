#include "telemetry/http_server.h"

#include <future>
#include <mutex>
#include <thread>

#include "tests/telemetry/http_fixture.h"

namespace kiln {
namespace {

using HttpServerTest = HttpFixture;

TEST_F(HttpServerTest, AnswersWhatItIsAsked) {
  Start();
  const std::string answer = Ask(address(), Get("/jobs/7?state=done&x=%20"));
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_EQ(BodyOf(answer), "GET /jobs/7?state=done&x=%20 ");
  EXPECT_EQ(HeaderOf(answer, "Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(BodyOf(Ask(address(), Post("a body"))), "POST /? a body");
}

TEST_F(HttpServerTest, HandsHeadersOnInSmallLetters) {
  Start({}, [](const HttpRequest& request, const HttpRespond& respond) {
    respond({.body = request.Header("if-none-match") + "|" + request.Header("authorization") + "|" +
                     request.Header("accept")});
  });
  EXPECT_EQ(BodyOf(Ask(address(), Get("/",
                                      "If-None-Match: \"7\"\r\nAUTHORIZATION: Bearer x\r\n"
                                      "Accept: a\r\nAccept: b\r\n"))),
            "\"7\"|Bearer x|a, b");
}

TEST_F(HttpServerTest, SendsFurtherHeadersButNoForgedOnes) {
  Start({}, [](const HttpRequest&, const HttpRespond& respond) {
    HttpResponse response{.status = 304, .body = "none is sent"};
    response.headers = {{"ETag", "\"7\""}, {"X-Name", "a\r\nSet-Cookie: b"}};
    respond(response);
  });
  const std::string answer = Ask(address(), Get("/"));
  EXPECT_EQ(StatusOf(answer), 304);
  EXPECT_EQ(HeaderOf(answer, "ETag"), "\"7\"");
  EXPECT_EQ(answer.find("Set-Cookie"), std::string::npos);
  EXPECT_EQ(BodyOf(answer), "");
}

TEST_F(HttpServerTest, AHeadHasTheHeadersOfItsGetWithoutTheBody) {
  Start({}, [](const HttpRequest&, const HttpRespond& respond) { respond({.body = "12345"}); });
  RawClient client(address());
  client.Send("HEAD / HTTP/1.1\r\nHost: " + address() + "\r\n\r\n" + Get("/"));
  EXPECT_EQ(HeaderOf(client.ReadAnswer(/*head=*/true), "Content-Length"), "5");
  EXPECT_EQ(BodyOf(client.ReadAnswer()), "12345");
}

TEST_F(HttpServerTest, KeepsAConnectionAsLongAsTheClientWants) {
  Start();
  RawClient client(address());
  for (int i = 0; i < 3; ++i) {
    client.Send(Get("/" + std::to_string(i)));
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /" + std::to_string(i) + "? ");
  }
  client.Send(Get("/", "Connection: close\r\n"));
  EXPECT_EQ(StatusOf(client.ReadToEnd()), 200);

  RawClient old(address());  // of version 1.0: closed unless it asks otherwise
  old.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(HeaderOf(old.ReadAnswer(), "Connection"), "keep-alive");
  old.Send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(StatusOf(old.ReadToEnd()), 200);
}

TEST_F(HttpServerTest, TakesTheAnswerOfAnyThread) {
  std::jthread worker;
  Start({}, [&](const HttpRequest&, HttpRespond respond) {
    worker = std::jthread([respond = std::move(respond)] { respond({.body = "later"}); });
  });
  EXPECT_EQ(BodyOf(Ask(address(), Get("/"))), "later");
  server_.reset();  // nothing runs on the reactor any more
}

TEST_F(HttpServerTest, OnlyTheFirstAnswerCounts) {
  Start({}, [](const HttpRequest&, const HttpRespond& respond) {
    respond({.body = "first"});
    respond({.body = "second"});
  });
  RawClient client(address());
  client.Send(Get("/") + Get("/"));
  EXPECT_EQ(BodyOf(client.ReadAnswer()), "first");
  EXPECT_EQ(BodyOf(client.ReadAnswer()), "first");
}

TEST_F(HttpServerTest, AHandlerWithoutAnAnswerIsA500) {
  Start({}, [](const HttpRequest&, const HttpRespond&) {});
  EXPECT_EQ(StatusOf(Ask(address(), Get("/"))), 500);
}

TEST_F(HttpServerTest, AHandlerThatTakesTooLongIsA503) {
  std::mutex mutex;
  std::vector<HttpRespond> kept;
  Start({.answer = std::chrono::milliseconds(50)}, [&](const HttpRequest&, HttpRespond respond) {
    std::lock_guard lock(mutex);
    kept.push_back(std::move(respond));
  });
  RawClient client(address());
  client.Send(Get("/"));
  EXPECT_EQ(StatusOf(client.ReadAnswer()), 503);
  std::lock_guard lock(mutex);
  for (const HttpRespond& respond : kept) respond({});  // nobody waits for it
}

TEST_F(HttpServerTest, AnAnswerAfterTheServersEndIsDropped) {
  std::promise<HttpRespond> kept;
  Start({}, [&](const HttpRequest&, HttpRespond respond) { kept.set_value(std::move(respond)); });
  RawClient client(address());
  client.Send(Get("/"));
  const HttpRespond respond = kept.get_future().get();
  server_.reset();
  EXPECT_EQ(client.ReadToEnd(), "");
  reactor_.reset();
  respond({.body = "too late"});
}

TEST_F(HttpServerTest, MayEndOnTheReactorsThread) {
  Start();
  RawClient client(address());
  std::promise<void> done;
  reactor_->Post([&] {
    server_.reset();
    done.set_value();
  });
  done.get_future().wait();
  EXPECT_EQ(client.ReadToEnd(), "");
}

TEST_F(HttpServerTest, ALargeAnswerArrivesWhole) {
  const std::string large(5 << 20, 'x');
  Start({}, [&](const HttpRequest&, const HttpRespond& respond) { respond({.body = large}); });
  EXPECT_EQ(BodyOf(Ask(address(), Get("/"))), large);
}

TEST_F(HttpServerTest, RoutesByPathAndMethod) {
  const auto say = [](const std::string& text) {
    return [text](const HttpRequest&, const HttpRespond& respond) { respond({.body = text}); };
  };
  Start({}, RouteHttp({{"GET", "/", say("home")},
                       {"GET", "/jobs/*", say("a job")},
                       {"POST", "/jobs/*", say("changed")},
                       {"GET", "/jobs", say("jobs")}}));
  EXPECT_EQ(BodyOf(Ask(address(), Get("/"))), "home");
  EXPECT_EQ(BodyOf(Ask(address(), Get("/jobs"))), "jobs");
  EXPECT_EQ(BodyOf(Ask(address(), Get("/jobs/7/log"))), "a job");
  EXPECT_EQ(StatusOf(Ask(address(), Get("/jobsfair"))), 404);
  EXPECT_EQ(StatusOf(Ask(address(), "HEAD / HTTP/1.1\r\nHost: " + address() + "\r\n\r\n")), 200);
  const std::string refused = Ask(address(), Post(""));
  EXPECT_EQ(StatusOf(refused), 405);
  EXPECT_EQ(HeaderOf(refused, "Allow"), "GET, HEAD");
}

TEST_F(HttpServerTest, OnLoopbackAnswersOnlyToNamesOfThisMachine) {
  Start();
  const std::string port = address().substr(address().find(':'));
  const auto ask = [&](const std::string& host) {
    return StatusOf(Ask(address(), "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
  };
  EXPECT_EQ(ask("localhost" + port), 200);
  EXPECT_EQ(ask("LOCALHOST" + port), 200);
  EXPECT_EQ(ask("127.0.0.1" + port), 200);
  EXPECT_EQ(ask("[::1]" + port), 200);
  EXPECT_EQ(ask("evil.example" + port), 421);
  EXPECT_EQ(ask("evil.example"), 421);
  EXPECT_EQ(ask("localhost"), 421);
  EXPECT_EQ(ask("localhost.evil.example" + port), 421);
  EXPECT_EQ(ask("127.0.0.1:1"), 421);
  EXPECT_EQ(ask(""), 421);
}

TEST_F(HttpServerTest, BeyondLoopbackItMustBeAllowedAndThenTakesAnyName) {
  const auto refused = StartHttpServer(*reactor_, {.address = "0.0.0.0:0"}, Echo);
  EXPECT_EQ(refused.status().code(), StatusCode::kPermissionDenied);
  Start({.address = "0.0.0.0:0", .allow_remote = true});
  EXPECT_EQ(StatusOf(Ask(address(), "GET / HTTP/1.1\r\nHost: farm.example\r\n\r\n")), 200);
}

TEST_F(HttpServerTest, SaysWhatIsWrongWithAnAddress) {
  Start();
  const auto code = [&](const std::string& at) {
    return StartHttpServer(*reactor_, {.address = at}, Echo).status().code();
  };
  EXPECT_EQ(code("127.0.0.1"), StatusCode::kInvalidArgument);
  EXPECT_EQ(code("127.0.0.1:65536"), StatusCode::kInvalidArgument);
  EXPECT_EQ(code("[::1:80"), StatusCode::kInvalidArgument);
  EXPECT_EQ(code("farm.example:80"), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(""), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(address()), StatusCode::kUnavailable);  // in use
}

TEST_F(HttpServerTest, ListensOnLocalhostByName) {
  Start({.address = "localhost:0"});
  EXPECT_TRUE(address().starts_with("127.0.0.1:")) << address();
  ExpectWell();
}

}  // namespace
}  // namespace kiln
