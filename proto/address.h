#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace kiln {

// An address is HOST:PORT, [IPV6]:PORT or unix:PATH.

struct HostPort {
  std::string host;  // without brackets
  int port = 0;      // 0..65535
};

// Nullopt: not HOST:PORT or [IPV6]:PORT.
std::optional<HostPort> SplitAddress(std::string_view address);
// Of a host without brackets.
std::string JoinAddress(std::string_view host, int port);

bool IsUnixAddress(std::string_view address);
std::string_view UnixPath(std::string_view address);

// Whether it has the form of an address, to listen on or to dial. kInvalidArgument.
Status CheckAddressForm(std::string_view address);

// Whether a server can be dialled at the address: a port from 1 to 65535, a path that fits a socket.
// kInvalidArgument says what is wrong.
Status CheckAddress(std::string_view address);

// Whether only programs on this machine reach the address: 127.0.0.0/8, ::1, localhost, unix:.
bool IsLocalAddress(std::string_view address);

// The address under which others reach a server that listens on `address` and that they see as
// `peer` (gRPC's notation, "ipv4:10.0.0.7:40123"): a wildcard host becomes the peer's.
std::string ReachableAddress(std::string_view address, std::string_view peer);

// The host of a peer in gRPC's notation: "10.0.0.7", "fe80::1"; "local" for all of this machine's.
std::string PeerHost(std::string_view peer);

}  // namespace kiln
