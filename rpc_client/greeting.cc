#include "rpc_client/greeting.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "proto/device.grpc.pb.h"
#include "proto/tls_probe.h"
#include "proto/transport.h"

namespace kiln {
namespace {

constexpr std::chrono::seconds kProbeTime{1};

// gRPC's words for a connection that was never made say little.
Status NoConnection(const GrantedLease& lease, const TlsFiles& tls, const Status& status) {
  if (IsUnixAddress(lease.address)) return status;
  const Status why = WhyNoConnection(lease.address, tls, DeviceHostName(lease.device), kProbeTime);
  return why.ok() ? status : Error(StatusCode::kUnavailable, Message(why));
}

Status Explained(const GrantedLease& lease, const TlsFiles& tls, const Status& status) {
  switch (status.code()) {
    case StatusCode::kDeadlineExceeded:
      return NoConnection(lease, tls,
                          Error(StatusCode::kUnavailable, "nothing answers at ", lease.address,
                                " within ", kGreetingTime.count(), " s"));
    case StatusCode::kUnavailable:
      return NoConnection(lease, tls, status);
    case StatusCode::kUnimplemented:
      return Error(StatusCode::kUnavailable, "another service answers at ", lease.address, ": ",
                   Message(status));
    default:
      if (!IsDeviceFault(status.code())) return status;
      return Error(StatusCode::kUnavailable, "what answers at ", lease.address,
                   " is no device: ", Message(status));
  }
}

}  // namespace

bool IsDeviceFault(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
    case StatusCode::kCancelled:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kInvalidArgument:
    case StatusCode::kResourceExhausted:
    case StatusCode::kPermissionDenied:
    case StatusCode::kUnauthenticated:
      return false;
    default:
      return true;
  }
}

StatusOr<int> Greet(const GrantedLease& lease, const std::shared_ptr<grpc::Channel>& channel,
                    const TlsFiles& tls) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kGreetingTime);
  v1::DescribeReply reply;
  const Status status =
      FromGrpc(v1::Device::NewStub(channel)->Describe(&context, v1::DescribeRequest(), &reply));
  if (!status.ok()) return Explained(lease, tls, status);
  // What stands for many devices, as a simulation does, says no name.
  if (!reply.name().empty() && reply.name() != lease.device) {
    return Error(StatusCode::kUnavailable, "at ", lease.address, " there is another device, ",
                 IsName(reply.name()) ? reply.name() : "with an odd name");
  }
  if (reply.protocol() < kOldestProtocolVersion) {
    const Status old = CheckProtocol(reply.protocol(), "the device", "the client");
    return Error(StatusCode::kUnavailable, Message(old));
  }
  return std::min(reply.protocol(), kProtocolVersion);
}

}  // namespace kiln
