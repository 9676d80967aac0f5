#pragma once

#include <chrono>

#include "base/status.h"
#include "proto/security.h"
#include "rpc_client/tracker_client.h"

namespace grpc {
class Channel;
}

namespace kiln {

// For a device to be reached and to say who it is. With the moment that it takes to find out why it does
// not, a device costs its client five seconds at most.
inline constexpr std::chrono::seconds kGreetingTime{4};

// Whether an error of a call to a device means that the device, or the way to it, is at fault. The others
// are of the lease (kFailedPrecondition), of the request, or of the caller's credential. What no device
// ever answers comes from something else at its address.
bool IsDeviceFault(StatusCode code);

// What a device answers first: which version of the protocol to speak to it. Anything else ends within
// kGreetingTime, and a moment to find out why:
//   kUnavailable  nobody is reached, nobody answers, or it is not this lease's device; the words say
//                 what is there instead
//   other errors  as the device gives them: it refuses the caller's credential
StatusOr<int> Greet(const GrantedLease& lease, const std::shared_ptr<grpc::Channel>& channel,
                    const TlsFiles& tls);

}  // namespace kiln
