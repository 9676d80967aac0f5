#pragma once

#include <chrono>
#include <string>

#include "base/status.h"
#include "proto/security.h"

namespace kiln {

// Why a gRPC channel to the address does not become ready, in a sentence for a person: it is tried once
// more by hand, with or without TLS as `files` say, for at most `timeout`. `expected_host` is what the
// peer's certificate has to be for, a name or an address; empty: the host of the address. Ok: there is
// nothing wrong that can be seen from here, and the channel's own words are to be kept.
//   kInvalidArgument     not an address; files as of CheckTlsFiles()
//   kUnavailable         nothing listens or answers there, no such host, no way to it
//   kFailedPrecondition  one side speaks TLS and the other does not; it is no server of Kiln; or
//                        all works, but CheckTlsFiles() has something against our own files
//   kUnauthenticated     one side refuses the certificate of the other
// Thread-safe; blocks.
Status WhyNoConnection(const std::string& address, const TlsFiles& files,
                       const std::string& expected_host, std::chrono::milliseconds timeout);

}  // namespace kiln
