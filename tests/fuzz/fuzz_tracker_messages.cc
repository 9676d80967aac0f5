// Messages of kiln.v1.Tracker, as bytes, against the lease table: an input is a sequence of calls, by
// devices and clients in any order, and what the table does is held to its promises.

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "proto/streams.h"
#include "proto/tracker.grpc.pb.h"
#include "proto/transport.h"
#include "rpc_tracker/event_check.h"
#include "rpc_tracker/lease_table.h"
#include "rpc_tracker/tracker_codec.h"
#include "tests/fuzz/fuzz_input.h"

namespace kiln {
namespace {

// An operation: its kind, who calls, and the bytes of its message.
enum Operation : std::uint8_t {
  kHello,
  kAcknowledge,
  kDisconnect,
  kAcquire,
  kRenew,
  kRelease,
  kCancel,
  kPass,
  kOperations
};
constexpr int kMaxOperations = 256;

class Farm {
 public:
  void Do(Operation operation, std::uint8_t who, const std::string& message) {
    switch (operation) {
      case kHello:
        return Serve(who, message);
      case kAcknowledge:
        if (const auto report = Parse<v1::DeviceReport>(message); report.ok()) {
          table_.Acknowledge(now_, Session(who), report->ack().epoch());
        }
        return;
      case kDisconnect:
        return table_.Disconnect(now_, Session(who));
      case kAcquire:
        return Acquire(who, message);
      case kRenew:
        return Renew(who, message);
      case kRelease:
        return Release(who, message);
      case kCancel:
        table_.Cancel(now_, message, PeerOf(who).party()).IgnoreError();
        return;
      case kPass:
        now_ += std::chrono::milliseconds(100) * who;
        return;
      case kOperations:
        break;
    }
  }

  // What happened then, which must be in order.
  void Check() {
    table_.Tick(now_);
    for (const LeaseAction& action : table_.TakeActions()) {
      const auto* grant = std::get_if<SendGrant>(&action);
      if (!grant) continue;
      (void)WriteGrant(*grant).ByteSizeLong();
      // Every other device is an honest one.
      if (grant->session % 2 == 0) table_.Acknowledge(now_, grant->session, grant->lease.epoch);
    }
    for (const LeaseEvent& event : table_.TakeEvents()) {
      const std::string line = ToJsonLine(event, {});
      const auto read = ParseLeaseEvent(line);
      Need(read.ok() && *read == event, line);
      const Status status = check_.Add(event);
      Need(status.ok(), Message(status));
    }
    for (const DeviceView& view : table_.Devices()) {
      Need(IsName(view.hello.name) && IsText(view.hello.address), "a device with an odd name");
      Need(view.epoch < kEpochLimit, "an epoch that wraps");
      Need(WriteEntry(view, now_).ByteSizeLong() < 8192, "a long entry");
    }
    if (const auto next = table_.NextTick()) Need(*next >= now_, "a tick that is always due");
  }

 private:
  static void Need(bool holds, const std::string& what) {
    if (holds) return;
    std::fprintf(stderr, "broken: %s\n", what.c_str());
    std::abort();
  }
  template <typename Message>
  static StatusOr<Message> Parse(const std::string& bytes) {
    const grpc::Slice slice(bytes);
    return ParseMessage<Message>(grpc::ByteBuffer(&slice, 1), kMaxTrackerMessageBytes);
  }
  static Peer PeerOf(std::uint8_t who) {
    Peer peer{"ipv4:10.0.0." + std::to_string(who % 4) + ":40123", std::nullopt, ""};
    if (who % 8 >= 4) peer.principal = Principal{Role::kDevice, "d" + std::to_string(who % 4)};
    return peer;
  }
  SessionId Session(std::uint8_t who) const {
    return sessions_.empty() ? who : sessions_[who % sessions_.size()];
  }

  void Serve(std::uint8_t who, const std::string& message) {
    const auto report = Parse<v1::DeviceReport>(message);
    if (!report.ok() || !report->has_hello()) return;
    auto hello = ReadHello(report->hello(), PeerOf(who));
    if (!hello.ok()) {
      Need(Message(hello.status()).size() < 1000, "a long error");
      return;
    }
    const auto session = table_.Register(now_, *std::move(hello));
    if (session.ok()) sessions_.push_back(*session);
  }
  void Acquire(std::uint8_t who, const std::string& message) {
    const auto request = Parse<v1::AcquireLeaseRequest>(message);
    if (!request.ok()) return;
    const auto read = ReadAcquire(*request, PeerOf(who));
    if (read.ok()) table_.Request(now_, *read).IgnoreError();
  }
  void Renew(std::uint8_t who, const std::string& message) {
    const auto request = Parse<v1::RenewLeaseRequest>(message);
    if (!request.ok() || !CheckRenew(*request).ok()) return;
    const std::string party = PeerOf(who).party();
    (void)table_.Renew(now_, {party, request->device(), request->lease_id(), request->epoch()});
  }
  void Release(std::uint8_t who, const std::string& message) {
    const auto request = Parse<v1::ReleaseLeaseRequest>(message);
    if (!request.ok() || !CheckRelease(*request).ok()) return;
    const std::string party = PeerOf(who).party();
    table_.Release(now_, {party, request->device(), request->lease_id(), request->epoch()})
        .IgnoreError();
  }

  SteadyTime now_{};
  LeaseTable table_{{.waiting = {.of_client = 4, .of_party = 8, .in_all = 16},
                     .max_devices = 6,
                     .max_lost = 3,
                     .first_epoch = std::uint64_t{1} << 40,
                     .record_events = true},
                    now_};
  EventCheck check_;
  std::vector<SessionId> sessions_;
};

}  // namespace
}  // namespace kiln

// Protobuf's lines about texts that are not UTF-8 would take most of the time.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kiln::FuzzInput input(data, size);
  kiln::Farm farm;
  for (int i = 0; i < kiln::kMaxOperations && !input.empty(); ++i) {
    const auto operation = static_cast<kiln::Operation>(input.Byte() % kiln::kOperations);
    const std::uint8_t who = input.Byte();
    farm.Do(operation, who, input.Text());
    farm.Check();
  }
  return 0;
}
