// The log of the real servers when standard error is a full pipe that nobody reads: whoever is
// refused thousands of times stops nobody else.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <sstream>

#include "proto/device.grpc.pb.h"
#include "proto/tracker.grpc.pb.h"
#include "proto/transport.h"
#include "tests/integration/programs.h"

namespace kiln {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr int kRefusals = 3000;
constexpr std::chrono::seconds kAtOnce{30};  // of a busy machine; what hangs takes longer

// A named pipe that is full.
class FullPipe {
 public:
  explicit FullPipe(const std::string& path) : path_(path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    fd_ = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    EXPECT_GE(fd_, 0);
    const std::string block(4096, '.');
    while (write(fd_, block.data(), block.size()) > 0) {
    }
  }
  FullPipe(const FullPipe&) = delete;
  FullPipe& operator=(const FullPipe&) = delete;
  ~FullPipe() { close(fd_); }

  const std::string& path() const { return path_; }
  // What is written to it, from the first to that which ends with this text.
  std::string ReadUntil(const std::string& end) {
    std::string text;
    char block[4096];
    while (text.find(end) == std::string::npos) {
      pollfd ready{fd_, POLLIN, 0};
      if (poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) != 1) {
        ADD_FAILURE() << "nothing comes after: " << text;
        break;
      }
      const ssize_t n = read(fd_, block, sizeof block);
      if (n > 0) text.append(block, static_cast<std::size_t>(n));
    }
    return text.substr(std::min(text.find_first_not_of('.'), text.size()));
  }

 private:
  const std::string path_;
  int fd_ = -1;
};

class LogTest : public KilnTest {
 protected:
  std::unique_ptr<RunningProgram> Start(std::vector<std::string> command) const {
    command.insert(command.end(), {"--listen", address_});
    auto program =
        std::make_unique<RunningProgram>(scratch_, command, Streams{.err = pipe_.path()});
    EXPECT_TRUE(program->WaitUntil([&] { return program->out().ends_with('\n'); }, kAtOnce));
    channel_ = Dial(address_);
    tracker_ = v1::Tracker::NewStub(channel_);
    return program;
  }
  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + kAtOnce);
  }

  // Somebody without a name wants to be a device.
  grpc::StatusCode ServeWithoutName() const {
    grpc::ClientContext context;
    SetDeadline(context);
    const auto stream = tracker_->Serve(&context);
    v1::DeviceReport report;
    report.mutable_hello()->set_protocol(kProtocolVersion);
    report.mutable_hello()->set_name("a\n2026-01-01T00:00:00.000 info all is well");
    stream->Write(report);
    v1::DeviceCommand command;
    while (stream->Read(&command)) {
    }
    return stream->Finish().error_code();
  }
  // Somebody without a lease measures.
  grpc::StatusCode MeasureWithoutLease() const {
    grpc::ClientContext context;
    SetDeadline(context);
    const auto stream = v1::Device::NewStub(channel_)->Measure(&context);
    v1::MeasureRequest request;
    request.set_trial_id("trial");
    request.set_lease_id("none\nat all");
    stream->Write(request);
    v1::MeasureReply reply;
    while (stream->Read(&reply)) {
    }
    return stream->Finish().error_code();
  }
  v1::ListDevicesReply Devices() const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListDevicesReply reply;
    const grpc::Status status = tracker_->ListDevices(&context, {}, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  }
  void Acquire(const v1::DeviceEntry& device) const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::AcquireLeaseRequest request;
    request.set_protocol(kProtocolVersion);
    request.set_lease_id("7e57ab1e-0000-4000-8000-000000000001");
    request.set_client("test@here:1");
    request.set_target(device.target());
    request.set_time_kind(device.time_kind());
    request.set_wait_ms(std::chrono::milliseconds(kAtOnce).count());
    v1::AcquireLeaseReply reply;
    const grpc::Status status = tracker_->AcquireLease(&context, request, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(reply.device(), device.name());
  }
  // Now somebody reads: all lines are the program's own, and those of one kind are counted.
  void ExpectLog(const std::string& refusal) {
    std::istringstream text(pipe_.ReadUntil(" more lines like this: " + refusal));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line) && !text.eof();) {
      EXPECT_THAT(line, MatchesRegex("[-0-9]+T[0-9:.]+ (info|warning|error) .*"));
      EXPECT_THAT(line, testing::Not(HasSubstr("all is well")));
      lines.push_back(line);
    }
    EXPECT_THAT(lines, Contains(HasSubstr(" warning " + refusal)).Times(testing::Ge(100)));
    EXPECT_LT(lines.size(), kRefusals);
  }

  const std::string address_ = "unix:" + scratch_.Path("server");
  FullPipe pipe_{scratch_.Path("log")};
  mutable std::shared_ptr<grpc::Channel> channel_;
  mutable std::unique_ptr<v1::Tracker::Stub> tracker_;
};

TEST_F(LogTest, TrackerWhoseLogNobodyReadsServesOn) {
  const auto tracker = Start({"kiln-tracker"});
  for (int i = 0; i < kRefusals; ++i) {
    ASSERT_EQ(ServeWithoutName(), grpc::INVALID_ARGUMENT) << "refusal " << i;
  }
  EXPECT_EQ(Devices().devices_size(), 0);
  ExpectLog("hello of ");
  tracker->Signal(SIGTERM);
  EXPECT_EQ(tracker->Wait().status, 0);
}

TEST_F(LogTest, ServerWhoseLogNobodyReadsServesOn) {
  const auto server = Start({"kiln-server", "--target", "native", "--name", "a"});
  ASSERT_TRUE(server->WaitUntil(
      [&] {
        const auto reply = Devices();
        return reply.devices_size() == 1 && reply.devices(0).state() == v1::DeviceEntry::STATE_FREE;
      },
      kAtOnce));
  for (int i = 0; i < kRefusals; ++i) {
    ASSERT_NE(MeasureWithoutLease(), grpc::DEADLINE_EXCEEDED) << "refusal " << i;
  }
  const auto reply = Devices();
  ASSERT_EQ(reply.devices_size(), 1);
  Acquire(reply.devices(0));
  ExpectLog("call of Measure by ");
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait().status, 0);
}

TEST_F(LogTest, ServersEndThoughNobodyReadsTheirLog) {
  for (const char* name : {"kiln-tracker", "kiln-server"}) {
    std::vector<std::string> command{name};
    if (command[0] == "kiln-server") command.insert(command.end(), {"--target", "native"});
    const auto program = Start(command);
    program->Signal(SIGTERM);
    EXPECT_EQ(program->Wait(kAtOnce).status, 0) << name;
    command.insert(command.end(), {"--listen", "unix:" + scratch_.Path("no/such/directory")});
    RunningProgram failing(scratch_, command, {.err = pipe_.path()});
    EXPECT_EQ(failing.Wait(kAtOnce).status, 1) << name;
  }
}

}  // namespace
}  // namespace kiln
