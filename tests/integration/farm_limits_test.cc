// What hostile peers can do to the real servers: their memory stays bounded, and an honest client is
// served afterwards without a restart.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "base/sanitizer.h"
#include "ops/op_data.h"
#include "proto/device.grpc.pb.h"
#include "proto/streams.h"
#include "proto/tracker.grpc.pb.h"
#include "proto/transport.h"
#include "tests/integration/programs.h"
#include "tests/integration/raw_peer.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AnyOf;
using testing::Each;
using testing::Eq;
using testing::HasSubstr;

constexpr seconds kAtOnce{30};        // of a busy machine; what hangs takes longer
constexpr milliseconds kStuck{2000};  // who takes nothing for so long has stopped to read
constexpr std::uint64_t kGigabyte = std::uint64_t{1} << 30;
constexpr char kKey[] =
    "conv2d/i8/n1h6w7c3/o5/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=none/rq=gen/double";
constexpr char kAcquire[] = "/kiln.v1.Tracker/AcquireLease";
constexpr char kList[] = "/kiln.v1.Tracker/ListDevices";
constexpr char kServe[] = "/kiln.v1.Tracker/Serve";
constexpr char kDescribe[] = "/kiln.v1.Device/Describe";
constexpr char kMeasure[] = "/kiln.v1.Device/Measure";

using Metadata = RawPeer::Metadata;

// The most memory that the process has had at any time.
std::size_t PeakMegabytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) >> 10;
  }
  return 1 << 20;
}

std::string Garbage() { return "\xff\xff\xff\xff no message"; }

grpc::ByteBuffer BytesOf(const std::string& text) {
  const grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

// So many equal bytes, one and the same slice again and again.
grpc::ByteBuffer LongBytes(std::size_t megabytes) {
  const std::vector<grpc::Slice> slices(megabytes, grpc::Slice(std::string(1 << 20, '\x0a')));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

v1::DeviceReport HelloOf(const std::string& name) {
  v1::DeviceReport report;
  v1::DeviceHello& hello = *report.mutable_hello();
  hello.set_protocol(kProtocolVersion);
  hello.set_name(name);
  hello.set_instance("first");
  hello.set_target("board");
  hello.set_address("127.0.0.1:1");
  hello.set_cores(1);
  return report;
}

v1::AcquireLeaseRequest AskFor(const std::string& target, const std::string& client,
                               const std::string& id, seconds wait = kAtOnce) {
  v1::AcquireLeaseRequest request;
  request.set_protocol(kProtocolVersion);
  request.set_lease_id(id);
  request.set_client(client);
  request.set_target(target);
  request.set_wait_ms(milliseconds(wait).count());
  return request;
}

Metadata MetadataOf(const v1::AcquireLeaseReply& lease) {
  return {{kProtocolMetadata, std::to_string(kProtocolVersion)},
          {kLeaseMetadata, lease.lease_id()},
          {kEpochMetadata, std::to_string(lease.epoch())}};
}

v1::MeasureRequest RequestOf(const v1::AcquireLeaseReply& lease, const std::string& object) {
  v1::MeasureRequest request;
  request.set_trial_id("trial");
  request.set_lease_id(lease.lease_id());
  request.set_epoch(lease.epoch());
  request.set_object(object);
  request.set_object_digest(object.empty() ? 1 : Digest(object));
  request.set_symbol("kiln_0123456789abcdef");
  request.set_workload(kKey);
  request.add_cases()->set_recipe_version(kDataRecipeVersion);
  request.mutable_plan()->set_threads(1);
  request.mutable_plan()->set_samples(1);
  request.mutable_plan()->set_time_out_ns(1'000'000'000);
  return request;
}

// Sends a message of so many bytes in pieces, and never holds more than one.
RawPeer::Sent SendLong(RawPeer& peer, std::uint32_t stream, std::uint64_t bytes) {
  const std::string piece(1 << 20, '\x0a');
  RawPeer::Sent sent = peer.Send(stream, FrameHead(static_cast<std::uint32_t>(bytes)), kStuck);
  for (std::uint64_t done = 0; done < bytes && sent == RawPeer::Sent::kAll; done += piece.size()) {
    sent = peer.Send(stream, piece, kStuck);
  }
  return sent;
}

// A registered device that grants whatever its tracker wants.
class Board {
 public:
  Board(const std::string& address, const std::string& name)
      : stub_(v1::Tracker::NewStub(Dial(address))), stream_(stub_->Serve(&context_)) {
    stream_->Write(HelloOf(name));
    thread_ = std::thread([this] {
      for (v1::DeviceCommand command; stream_->Read(&command);) {
        if (!command.has_grant()) continue;
        v1::DeviceReport report;
        report.mutable_ack()->set_epoch(command.grant().epoch());
        stream_->Write(report);
      }
    });
  }
  ~Board() {
    context_.TryCancel();
    thread_.join();
    stream_->Finish().error_code();
  }

 private:
  grpc::ClientContext context_;
  const std::unique_ptr<v1::Tracker::Stub> stub_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::DeviceReport, v1::DeviceCommand>> stream_;
  std::thread thread_;
};

class FarmLimitsTest : public testing::Test {
 protected:
  void SetUp() override { RaiseDescriptorLimit(); }
  void TearDown() override {
    if (!program_) return;
    const std::size_t peak = PeakMegabytes(program_->pid());
    std::printf("memory: %s %zu MB at most\n", name_.c_str(), peak);
    RecordProperty("peak_megabytes", static_cast<int>(peak));
    // A program that a sanitizer makes slow looks late at its memory, and more has come by then.
    const std::size_t most = SanitizedBytes(most_megabytes_ << 20) + kSanitizerBytes;
    EXPECT_LT(peak, most >> 20) << program_->err();
    program_->Signal(SIGTERM);
    EXPECT_EQ(program_->Wait().status, 0);
  }

  void Start(std::vector<std::string> command, std::size_t most_megabytes) {
    name_ = command[0];
    most_megabytes_ = most_megabytes;
    program_ = std::make_unique<RunningProgram>(scratch_, command);
    address_ = program_->Address();
    ASSERT_FALSE(address_.empty());
  }
  void StartTracker() { Start({"kiln-tracker", "--listen", "127.0.0.1:0"}, 100); }
  // A farm of one: its tracker is inside. It listens before it has registered with itself.
  void StartServer() {
    Start({"kiln-server", "--target", "native", "--name", "a", "--listen", "127.0.0.1:0"}, 200);
    ASSERT_TRUE(program_->WaitUntil([&] { return Devices().devices_size() == 1; }));
  }

  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + kAtOnce);
    context.set_wait_for_ready(true);
  }
  std::unique_ptr<v1::Tracker::Stub> Tracker() const {
    return v1::Tracker::NewStub(Dial(address_));
  }
  v1::ListDevicesReply Devices() const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListDevicesReply reply;
    const grpc::Status status = Tracker()->ListDevices(&context, {}, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  }
  v1::AcquireLeaseReply Acquire(const std::string& target) const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::AcquireLeaseReply reply;
    const grpc::Status status =
        Tracker()->AcquireLease(&context, AskFor(target, "honest", "honest-lease"), &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  }
  void Release(const v1::AcquireLeaseReply& lease) const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ReleaseLeaseRequest request;
    request.set_lease_id(lease.lease_id());
    request.set_device(lease.device());
    request.set_epoch(lease.epoch());
    v1::ReleaseLeaseReply reply;
    const grpc::Status status = Tracker()->ReleaseLease(&context, request, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  // One measurement: of an object that is none, which kiln-host says.
  void Measure(const v1::AcquireLeaseReply& lease) const {
    grpc::ClientContext context;
    SetDeadline(context);
    for (const auto& [name, value] : MetadataOf(lease)) context.AddMetadata(name, value);
    const auto stream = v1::Device::NewStub(Dial(address_))->Measure(&context);
    stream->Write(RequestOf(lease, "no object"));
    v1::MeasureReply reply;
    ASSERT_TRUE(stream->Read(&reply)) << stream->Finish().error_message();
    EXPECT_EQ(reply.result().failure().kind(), v1::KernelFailure::KIND_BAD_OBJECT);
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }
  // What an honest client of a tracker does, or one of a server.
  void ExpectHonestClientIsServed() const {
    const auto begin = std::chrono::steady_clock::now();
    if (name_ == "kiln-tracker") {
      const Board board(address_, "honest-board");
      Release(Acquire("board"));
    } else {
      const auto lease = Acquire(Devices().devices(0).target());
      Measure(lease);
      Release(lease);
    }
    std::printf("an honest client was served within %.2f s\n",
                std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  // Whether the log says so soon: it is written a moment after what it speaks of.
  bool Says(const std::string& text) const {
    return program_->WaitUntil([&] { return Said(text) > 0; });
  }
  // How often the log says so.
  std::size_t Said(const std::string& text) const {
    const std::string log = program_->err();
    std::size_t count = 0;
    for (std::size_t at = 0; (at = log.find(text, at)) != std::string::npos; ++at) ++count;
    return count;
  }

  // What a call that sends these bytes, and then nothing more, ends with.
  grpc::Status Answer(const std::string& method, const grpc::ByteBuffer& bytes,
                      const Metadata& metadata = {},
                      grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) const {
    grpc::ChannelArguments unlimited;
    unlimited.SetMaxSendMessageSize(-1);
    grpc::GenericStub stub(
        grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), unlimited));
    grpc::ClientContext context;
    SetDeadline(context);
    context.set_compression_algorithm(compression);
    for (const auto& [name, value] : metadata) context.AddMetadata(name, value);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(&context, method, &queue);
    const auto next = [&] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    call->StartCall(nullptr);
    if (next()) {
      call->WriteLast(bytes, grpc::WriteOptions(), nullptr);
      next();
      grpc::ByteBuffer reply;
      do {
        call->Read(&reply, nullptr);
      } while (next());
    }
    grpc::Status status;
    call->Finish(&status, nullptr);
    next();
    return status;
  }

  // Messages of so many bytes that are small on their way, to each method and to all at once.
  void SendCompressed(const std::vector<std::string>& methods, std::size_t megabytes) const {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        const std::string& method = methods[i % methods.size()];
        EXPECT_NE(Answer(method, LongBytes(megabytes), {},
                         i < 4 ? GRPC_COMPRESS_GZIP : GRPC_COMPRESS_DEFLATE)
                      .error_code(),
                  grpc::OK)
            << method;
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  // A message of 1 GB to each method, one after the other, then to all at once.
  void SendGigabytes(const std::vector<std::string>& methods) const {
    for (const std::string& method : methods) {
      RawPeer peer(address_, {});
      const std::uint32_t stream = peer.Call(method);
      EXPECT_NE(SendLong(peer, stream, kGigabyte), RawPeer::Sent::kAll) << method;
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&, i] {
        RawPeer peer(address_, {});
        const std::uint32_t stream = peer.Call(methods[i % methods.size()]);
        SendLong(peer, stream, kGigabyte);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  void HoldTooManyConnections();

  const Scratch scratch_;
  std::string name_, address_;
  std::size_t most_megabytes_ = 0;
  std::unique_ptr<RunningProgram> program_;
};

// 1. No descriptors left.

int ConnectTo(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  return socket;
}

// Whether the server speaks on the connection, rather than closing it.
bool IsTaken(int socket) {
  pollfd ready{socket, POLLIN, 0};
  char byte = 0;
  EXPECT_EQ(poll(&ready, 1, static_cast<int>(milliseconds(kAtOnce).count())), 1);
  return recv(socket, &byte, 1, 0) == 1;
}

void FarmLimitsTest::HoldTooManyConnections() {
  const rlimit limit{1024, 1024};
  ASSERT_EQ(prlimit(program_->pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
  std::vector<int> sockets;
  int taken = 0;
  for (int i = 0; i < 1100; ++i) {
    sockets.push_back(ConnectTo(address_));
    const std::string hello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
    (void)!send(sockets.back(), hello.data(), hello.size(), MSG_NOSIGNAL);
  }
  for (const int socket : sockets) taken += IsTaken(socket) ? 1 : 0;
  std::printf("%d of %zu connections taken\n", taken, sockets.size());
  EXPECT_GE(taken, 700);
  EXPECT_LT(taken, 1024);
  EXPECT_TRUE(Says("descriptors are in use")) << program_->err();
  const int late = ConnectTo(address_);
  EXPECT_FALSE(IsTaken(late));
  EXPECT_EQ(Said("descriptors are in use"), 1u) << program_->err();
  close(late);
  for (const int socket : sockets) close(socket);
}

TEST_F(FarmLimitsTest, TrackerWithoutDescriptorsServesAgainWhenThereAre) {
  StartTracker();
  HoldTooManyConnections();
  ExpectHonestClientIsServed();
}

TEST_F(FarmLimitsTest, ServerWithoutDescriptorsServesAgainWhenThereAre) {
  StartServer();
  HoldTooManyConnections();
  ExpectHonestClientIsServed();
}

// 2. Messages of 1 GB.

TEST_F(FarmLimitsTest, TrackerCutsMessagesOfAGigabyteOff) {
  StartTracker();
  SendGigabytes({kAcquire, kList, kServe});
  ExpectHonestClientIsServed();
  EXPECT_TRUE(Says("cut off"));
}

TEST_F(FarmLimitsTest, ServerCutsMessagesOfAGigabyteOff) {
  StartServer();
  SendGigabytes({kDescribe, kMeasure, kAcquire, kServe});
  ExpectHonestClientIsServed();
}

// What is compressed could be a thousand times as long as it looks.

TEST_F(FarmLimitsTest, TrackerExpandsNoCompressedMessage) {
  StartTracker();
  SendCompressed({kAcquire, kList, kServe}, 60);
  ExpectHonestClientIsServed();
}

TEST_F(FarmLimitsTest, ServerExpandsNoCompressedMessage) {
  StartServer();
  SendCompressed({kDescribe, kAcquire, kServe}, 250);
  ExpectHonestClientIsServed();
}

TEST_F(FarmLimitsTest, ServerTakesNoMoreFromALeaseThanItSays) {
  StartServer();
  const auto lease = Acquire(Devices().devices(0).target());
  std::string object(15 << 20, 'x');
  const std::string message = Framed(RequestOf(lease, object).SerializeAsString());
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      RawPeer peer(address_, {});
      const std::uint32_t stream = peer.Call(kMeasure, MetadataOf(lease));
      for (int k = 0; k < 8; ++k) {
        if (peer.Send(stream, message, kStuck) != RawPeer::Sent::kAll) break;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Release(lease);
  ExpectHonestClientIsServed();
}

// 3. Peers that never read.

TEST_F(FarmLimitsTest, ServerWhoseAnswersNobodyReadsStopsReading) {
  StartServer();
  const auto lease = Acquire(Devices().devices(0).target());
  for (const char* object : {"", "no object"}) {
    RawPeer deaf(address_, {.window = 0});
    const std::uint32_t stream = deaf.Call(kMeasure, MetadataOf(lease));
    const std::string message = Framed(RequestOf(lease, object).SerializeAsString());
    int sent = 0;
    while (sent < 100'000 && deaf.Send(stream, message, kStuck) == RawPeer::Sent::kAll) ++sent;
    std::printf("%d requests taken of a client that reads nothing\n", sent);
    EXPECT_LT(sent, 10'000);
  }
  Release(lease);
  ExpectHonestClientIsServed();
}

class FarmLimitsDevicesTest : public FarmLimitsTest {
 protected:
  // Devices that never read what their tracker sends.
  void Register(int count, const std::function<void(v1::DeviceHello&)>& change) {
    for (int i = 0; i < count; ++i) {
      if (i % 500 == 0) {
        peers_.push_back(std::make_unique<RawPeer>(
            address_, RawPeer::Options{.window = 0, .answer_pings = true}));
      }
      v1::DeviceReport report = HelloOf("device-" + std::to_string(i));
      report.mutable_hello()->set_target("deaf");
      change(*report.mutable_hello());
      ASSERT_EQ(peers_.back()->Send(peers_.back()->Call(kServe), Framed(report.SerializeAsString()),
                                    kAtOnce),
                RawPeer::Sent::kAll);
    }
    ASSERT_TRUE(program_->WaitUntil([&] { return Devices().devices_size() == count; }));
    most_megabytes_ += static_cast<std::size_t>(count) * 40 / 1000;
  }

  void ListUnread(int connections, int calls) {
    std::vector<std::unique_ptr<RawPeer>> deaf;
    for (int i = 0; i < connections; ++i) {
      deaf.push_back(std::make_unique<RawPeer>(address_, RawPeer::Options{.window = 0}));
      for (int k = 0; k < calls; ++k) {
        deaf.back()->Send(deaf.back()->Call(kList), Framed(""), kStuck, true);
      }
    }
    // The first of each is answered, but for its length.
    Devices();
  }

  std::vector<std::unique_ptr<RawPeer>> peers_;
};

TEST_F(FarmLimitsDevicesTest, TrackerWhoseListsNobodyReadsMakesNoMore) {
  StartTracker();
  ASSERT_NO_FATAL_FAILURE(Register(1000, [](v1::DeviceHello& hello) {
    for (int i = 0; i < 8; ++i) (*hello.mutable_labels())["label-" + std::to_string(i)] = "value";
  }));
  ListUnread(8, 500);
  EXPECT_EQ(Devices().devices_size(), 1000);
  ExpectHonestClientIsServed();
}

TEST_F(FarmLimitsDevicesTest, DevicesThatSayAllTheyMayDoNotBreakTheList) {
  StartTracker();
  ASSERT_NO_FATAL_FAILURE(Register(1000, [](v1::DeviceHello& hello) {
    while (hello.ByteSizeLong() < 3500) {
      (*hello.mutable_labels())["label-" + std::to_string(hello.labels_size())] =
          std::string(200, 'v');
    }
  }));
  ListUnread(8, 100);
  EXPECT_EQ(Devices().devices_size(), 1000);
  ExpectHonestClientIsServed();
}

TEST_F(FarmLimitsDevicesTest, DevicesThatReadNoCommandsAreCutOff) {
  StartTracker();
  ASSERT_NO_FATAL_FAILURE(Register(1, [](v1::DeviceHello&) {}));
  // It is offered again and again, and does not answer.
  grpc::ClientContext context;
  SetDeadline(context);
  v1::AcquireLeaseReply reply;
  const grpc::Status status =
      Tracker()->AcquireLease(&context, AskFor("deaf", "c", "lease", seconds(8)), &reply);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(program_->WaitUntil(
      [&] { return Devices().devices(0).state() == v1::DeviceEntry::STATE_LOST; }, kAtOnce));
  ExpectHonestClientIsServed();
}

// 4. Fields over their limits.

TEST_F(FarmLimitsTest, LargeFieldsAreRefusedAndNotLogged) {
  StartTracker();
  const auto refused = AnyOf(Eq(grpc::INVALID_ARGUMENT), Eq(grpc::RESOURCE_EXHAUSTED));
  v1::DeviceReport report = HelloOf("a");
  (*report.mutable_hello()->mutable_labels())["rack"] = std::string(30 << 20, 'x');
  EXPECT_THAT(Answer(kServe, SerializeMessage(report)).error_code(), refused);
  (*report.mutable_hello()->mutable_labels())["rack"] = std::string(60 << 10, 'x');
  EXPECT_THAT(Answer(kServe, SerializeMessage(report)).error_code(), refused);
  report = HelloOf(std::string(60 << 10, 'x'));
  EXPECT_THAT(Answer(kServe, SerializeMessage(report)).error_code(), refused);
  EXPECT_THAT(
      Answer(kAcquire, SerializeMessage(AskFor(std::string(60 << 10, 'x'), "c", "l"))).error_code(),
      refused);
  EXPECT_EQ(Devices().devices_size(), 0);
  EXPECT_LT(program_->err().size(), 4096u);
  ExpectHonestClientIsServed();
}

TEST_F(FarmLimitsTest, LargeFieldsOfMeasurementsAreRefusedAndNotLogged) {
  StartServer();
  const auto lease = Acquire(Devices().devices(0).target());
  const auto refused = AnyOf(Eq(grpc::INVALID_ARGUMENT), Eq(grpc::RESOURCE_EXHAUSTED));
  for (const std::size_t megabytes : {20, 40, 60}) {
    v1::MeasureRequest request = RequestOf(lease, "");
    request.set_workload(std::string(megabytes << 20, 'k'));
    EXPECT_THAT(Answer(kMeasure, SerializeMessage(request), MetadataOf(lease)).error_code(),
                refused);
    request = RequestOf(lease, "");
    request.set_trial_id(std::string(megabytes << 20, 't'));
    EXPECT_THAT(Answer(kMeasure, SerializeMessage(request), MetadataOf(lease)).error_code(),
                refused);
  }
  Release(lease);
  EXPECT_EQ(Devices().devices_size(), 1);
  EXPECT_LT(program_->err().size(), 8192u);
  ExpectHonestClientIsServed();
}

// 5. 10,000 waiting requests of one client.

TEST_F(FarmLimitsTest, ManyRequestsOfOneClientWaitBoundedAndOthersGetTheirTurn) {
  StartTracker();
  const auto ask = [&](RawPeer& peer, int number) {
    const auto request =
        AskFor("board", "greedy", "greedy-" + std::to_string(number), seconds(3600));
    peer.Send(peer.Call(kAcquire), Framed(request.SerializeAsString()), kStuck, true);
  };
  std::vector<std::unique_ptr<RawPeer>> greedy;
  greedy.push_back(std::make_unique<RawPeer>(address_, RawPeer::Options{}));
  for (int i = 0; i < 10'000; ++i) ask(*greedy[0], i);
  for (int i = 0; i < 10'000; ++i) {
    if (i % 500 == 0) greedy.push_back(std::make_unique<RawPeer>(address_, RawPeer::Options{}));
    ask(*greedy.back(), 10'000 + i);
  }
  EXPECT_GT(Devices().waiting(), 0);
  EXPECT_LE(Devices().waiting(), 256);
  ExpectHonestClientIsServed();
}

// 6. Streams without hello.

TEST_F(FarmLimitsTest, StreamsWithoutHelloAreEnded) {
  StartTracker();
  RawPeer silent(address_, {});
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 300; ++i) streams.push_back(silent.Call(kServe));
  for (const std::uint32_t stream : streams) {
    ASSERT_TRUE(silent.AwaitEnd(stream, kAtOnce)) << silent.open_streams();
  }
  EXPECT_TRUE(silent.connected()) << "only the streams are ended";
  ExpectHonestClientIsServed();
}

// 7. What is no message.

TEST_F(FarmLimitsTest, GarbageIsAnInvalidArgumentWhateverTheMethod) {
  StartServer();
  for (const char* method : {"/kiln.v1.Tracker/AcquireLease", "/kiln.v1.Tracker/RenewLease",
                             "/kiln.v1.Tracker/ReleaseLease", "/kiln.v1.Tracker/ListDevices",
                             "/kiln.v1.Tracker/Serve", "/kiln.v1.Device/Describe"}) {
    EXPECT_EQ(Answer(method, BytesOf(Garbage())).error_code(), grpc::INVALID_ARGUMENT) << method;
  }
  const auto lease = Acquire(Devices().devices(0).target());
  EXPECT_EQ(Answer(kMeasure, BytesOf(Garbage()), MetadataOf(lease)).error_code(),
            grpc::INVALID_ARGUMENT);
  // A device whose name is not UTF-8: protobuf must not write of it.
  EXPECT_EQ(Answer(kServe, BytesOf("\x0a\x05\x1a\x03\xff\xfe\xfd")).error_code(),
            grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Said("libprotobuf"), 0u);
  Release(lease);
  ExpectHonestClientIsServed();
}

// 8. A device that reboots without closing its connection.

TEST_F(FarmLimitsTest, DeviceThatRebootedIsTakenAsSoonAsItsOldConnectionIsNoticed) {
  StartTracker();
  RawPeer old(address_, {});
  old.Send(old.Call(kServe), Framed(HelloOf("phone").SerializeAsString()), kAtOnce);
  ASSERT_TRUE(program_->WaitUntil([&] { return Devices().devices_size() == 1; }));
  if (!old.Vanish()) {
    GTEST_SKIP() << "SKIPPED: the system lets no connection vanish (it takes CAP_NET_ADMIN)";
  }
  v1::DeviceReport again = HelloOf("phone");
  again.mutable_hello()->set_instance("second");
  const auto begin = std::chrono::steady_clock::now();
  int refused = 0;
  const auto ended = [&] {
    RawPeer peer(address_, {});
    const std::uint32_t stream = peer.Call(kServe);
    peer.Send(stream, Framed(again.SerializeAsString()), kAtOnce);
    return peer.AwaitEnd(stream, milliseconds(500));
  };
  while (ended() && std::chrono::steady_clock::now() - begin < kAtOnce) ++refused;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("refused %d times, for %.2f s\n", refused, took.count() - 0.5);
  EXPECT_LT(took, seconds(5)) << "long before a keepalive would tell";
  ExpectHonestClientIsServed();
}

}  // namespace
}  // namespace kiln
