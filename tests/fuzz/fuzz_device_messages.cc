// Messages of kiln.v1.Device.Measure, as bytes, through the codec: what passes is within the limits
// of proto/device.proto, and what does not is refused in few words.

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>

#include "proto/device.grpc.pb.h"
#include "proto/streams.h"
#include "proto/transport.h"
#include "rpc_server/measure_codec.h"

namespace kiln {
namespace {

constexpr std::size_t kCores = 4;

void Need(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what.c_str());
  std::abort();
}

void Read(const std::uint8_t* data, std::size_t size) {
  const grpc::Slice slice(data, size);
  const auto message =
      ParseMessage<v1::MeasureRequest>(grpc::ByteBuffer(&slice, 1), kMaxMessageBytes);
  if (!message.ok()) return;
  const auto request = ReadRequest(*message, kCores);
  if (!request.ok()) {
    Need(Message(request.status()).size() < 2000, Message(request.status()));
    return;
  }
  Need(IsName(message->trial_id()) && request->symbol.size() <= 256, "an odd name");
  Need(!request->cases.empty() && request->cases.size() <= 8, "an odd number of cases");
  Need(request->plan.threads >= 1 && request->plan.threads <= static_cast<int>(kCores), "threads");
  Need(Objection(request->plan).empty(), "a plan without sense");
}

}  // namespace
}  // namespace kiln

// Protobuf's lines about texts that are not UTF-8 would take most of the time.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kiln::Read(data, size);
  return 0;
}
