#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace kiln {

// Where an HTTP server is to listen, or is asked for.
struct HttpHost {
  std::string host;  // small letters, without brackets: "127.0.0.1", "::1", "localhost"
  int port = 0;
};

// "HOST:PORT" or "[IPV6]:PORT"; without a port it is `default_port`, or, if that is -1, an error.
// kInvalidArgument.
StatusOr<HttpHost> ParseHttpHost(std::string_view text, int default_port = -1);

// Whether a Host header names a server that listens on the loopback address `self` (HOST:PORT): by
// that, or by another name of this machine, and with its port.
bool NamesThisMachine(std::string_view header, std::string_view self);

}  // namespace kiln
