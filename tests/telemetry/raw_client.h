#pragma once

#include <string>
#include <string_view>

namespace kiln {

// This is one connection to an HTTP server, byte by byte: it says what it is told to, whether that
// makes sense or not. Reading waits for at most ten seconds.
class RawClient {
 public:
  explicit RawClient(const std::string& address);  // 127.0.0.1:PORT
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool Send(std::string_view bytes);  // false: the server does not take them
  void EndSending();                  // the other direction stays
  // The next answer, headers and as many bytes as they announce; "" if the server ends before.
  std::string ReadAnswer(bool head = false);
  std::string ReadToEnd();  // "TIME-OUT" if there is none

 private:
  bool ReadMore();

  int socket_ = -1;
  std::string buffer_;
  bool ended_ = false;
};

// One request on a connection of its own, and the answer to it.
std::string Ask(const std::string& address, std::string_view request);

int StatusOf(std::string_view answer);  // 0: it is no answer
std::string BodyOf(std::string_view answer);
std::string HeaderOf(std::string_view answer, std::string_view name);  // "" if it is not there

}  // namespace kiln
