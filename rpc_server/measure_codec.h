#pragma once

#include "base/status.h"
#include "kernel_host/host_protocol.h"
#include "proto/transport.h"

namespace kiln::v1 {
class MeasureRequest;
class MeasureResult;
}  // namespace kiln::v1

namespace kiln {

// What the wire asks, as kiln-host takes it, but for the object and the cores. Everything is
// checked that proto/device.proto promises: kInvalidArgument or kResourceExhausted says what is
// wrong. `cores` is how many there are to measure on.
StatusOr<HostRequest> ReadRequest(const v1::MeasureRequest& message, std::size_t cores);

// For a client that speaks `protocol`: what it does not know is said in its words.
void WriteResult(const HostReply& reply, v1::MeasureResult* message,
                 int protocol = kProtocolVersion);

}  // namespace kiln
