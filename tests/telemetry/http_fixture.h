#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "telemetry/http_server.h"
#include "tests/telemetry/raw_client.h"

namespace kiln {

// A server on a port of the system's choice; its handler says what it was asked.
class HttpFixture : public testing::Test {
 protected:
  void Start(HttpOptions options = {}, HttpHandler handler = Echo) {
    auto server = StartHttpServer(*reactor_, options, std::move(handler));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  static void Echo(const HttpRequest& request, const HttpRespond& respond) {
    respond(
        {.body = request.method + " " + request.path + "?" + request.query + " " + request.body});
  }

  const std::string& address() const { return server_->address(); }
  std::string Get(const std::string& path, const std::string& headers = "") const {
    return "GET " + path + " HTTP/1.1\r\nHost: " + address() + "\r\n" + headers + "\r\n";
  }
  std::string Post(const std::string& body) const {
    return "POST / HTTP/1.1\r\nHost: " + address() +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  // It still serves others.
  void ExpectWell() const { EXPECT_EQ(StatusOf(Ask(address(), Get("/"))), 200); }

  std::unique_ptr<Reactor> reactor_ = NewReactor();
  std::unique_ptr<HttpServer> server_;
};

}  // namespace kiln
