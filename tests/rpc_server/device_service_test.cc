#include "rpc_server/device_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <future>

#include "base/digest.h"
#include "proto/device.grpc.pb.h"
#include "tests/rpc_server/fake_device.h"

namespace kiln {
namespace {

using Stream = grpc::ClientReaderWriter<v1::MeasureRequest, v1::MeasureReply>;

constexpr char kKey[] =
    "conv2d/i8/n1h8w8c16/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=gen/double";

v1::MeasureRequest Request(const std::string& trial, const std::string& object = "object") {
  v1::MeasureRequest message;
  message.set_trial_id(trial);
  message.set_lease_id("lease");
  message.set_epoch(5);
  message.set_object(object);
  message.set_object_digest(Digest(object));
  message.set_symbol("kiln_0123456789abcdef");
  message.set_workload(kKey);
  message.add_cases()->set_recipe_version(kDataRecipeVersion);
  message.mutable_plan()->set_threads(1);
  message.mutable_plan()->set_samples(1);
  message.mutable_plan()->set_time_out_ns(1'000'000'000);
  return message;
}

// One stream to a device; the lease with epoch 5 is granted.
class DeviceServiceTest : public testing::Test {
 protected:
  void Connect(FakeKernel kernel = SampleReply) {
    device_ = std::make_unique<FakeDevice>(std::move(kernel));
    device_->fence().Grant({"lease", "client", 5});
    stub_ = v1::Device::NewStub(Dial(device_->address()));
    Name(context_, "lease", 5);
    stream_ = stub_->Measure(&context_);
  }

  // Says which lease a call is of.
  static void Name(grpc::ClientContext& context, const std::string& lease, std::uint64_t epoch) {
    context.AddMetadata(kProtocolMetadata, std::to_string(kProtocolVersion));
    context.AddMetadata(kLeaseMetadata, lease);
    context.AddMetadata(kEpochMetadata, std::to_string(epoch));
  }

  // The status that a request alone ends its stream with.
  grpc::StatusCode Refused(const v1::MeasureRequest& request) {
    grpc::ClientContext context;
    Name(context, request.lease_id(), request.epoch());
    auto stream = stub_->Measure(&context);
    stream->Write(request);
    v1::MeasureReply reply;
    EXPECT_FALSE(stream->Read(&reply));
    return stream->Finish().error_code();
  }

  v1::MeasureReply Read() {
    v1::MeasureReply reply;
    EXPECT_TRUE(stream_->Read(&reply));
    return reply;
  }

  std::unique_ptr<FakeDevice> device_;
  std::unique_ptr<v1::Device::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
};

TEST_F(DeviceServiceTest, DescribesItself) {
  Connect();
  grpc::ClientContext context;
  v1::DescribeReply reply;
  ASSERT_TRUE(stub_->Describe(&context, {}, &reply).ok());
  EXPECT_EQ(reply.name(), "fake");
  EXPECT_EQ(reply.target(), "t");
  EXPECT_THAT(reply.isa(), testing::ElementsAre("avx2"));
  EXPECT_THAT(reply.cores(), testing::ElementsAre(0, 1));
  EXPECT_EQ(reply.epoch(), 5u);
  EXPECT_EQ(reply.protocol(), kProtocolVersion);
}

TEST_F(DeviceServiceTest, AnswersInOrder) {
  Connect();
  for (const char* trial : {"1", "2", "3", "4", "5", "6", "7", "8"}) {
    ASSERT_TRUE(stream_->Write(Request(trial)));
  }
  stream_->WritesDone();
  for (const char* trial : {"1", "2", "3", "4", "5", "6", "7", "8"}) {
    const v1::MeasureReply reply = Read();
    EXPECT_EQ(reply.trial_id(), trial);
    EXPECT_THAT(reply.result().timings().samples_ns(), testing::ElementsAre(6.0));
  }
  v1::MeasureReply reply;
  EXPECT_FALSE(stream_->Read(&reply));
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(DeviceServiceTest, MeasuresOnItsCores) {
  std::promise<std::vector<std::int32_t>> cores;
  Connect([&](const HostRequest& request) {
    cores.set_value(request.cores);
    return SampleReply(request);
  });
  ASSERT_TRUE(stream_->Write(Request("1")));
  EXPECT_THAT(cores.get_future().get(), testing::ElementsAre(0, 1));
  Read();
}

TEST_F(DeviceServiceTest, ObjectIsSentOnce) {
  Connect();
  v1::MeasureRequest request = Request("1", "some object");
  request.clear_object();
  ASSERT_TRUE(stream_->Write(request));
  EXPECT_TRUE(Read().has_need_object());
  request.set_object("some object");
  ASSERT_TRUE(stream_->Write(request));
  EXPECT_TRUE(Read().has_result());
  request.clear_object();
  ASSERT_TRUE(stream_->Write(request));
  const v1::MeasureReply reply = Read();
  EXPECT_THAT(reply.result().timings().samples_ns(), testing::ElementsAre(11.0));
}

TEST_F(DeviceServiceTest, WrongRequestsEndTheStreamWithTheirStatus) {
  Connect();
  v1::MeasureRequest past = Request("1");
  past.set_epoch(4);
  EXPECT_EQ(Refused(past), grpc::FAILED_PRECONDITION);
  v1::MeasureRequest future = Request("1");
  future.set_epoch(6);
  EXPECT_EQ(Refused(future), grpc::UNAVAILABLE);
  v1::MeasureRequest other = Request("1");
  other.set_lease_id("another");
  EXPECT_EQ(Refused(other), grpc::FAILED_PRECONDITION);
  v1::MeasureRequest digest = Request("1");
  digest.set_object_digest(1);
  EXPECT_EQ(Refused(digest), grpc::INVALID_ARGUMENT);
  v1::MeasureRequest key = Request("1");
  key.set_workload("nonsense");
  EXPECT_EQ(Refused(key), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Refused(Request("1", std::string(17 << 20, 'x'))), grpc::RESOURCE_EXHAUSTED);
  // And it still serves, in a new call: a later one has taken the place of the first.
  grpc::ClientContext context;
  Name(context, "lease", 5);
  const auto stream = stub_->Measure(&context);
  ASSERT_TRUE(stream->Write(Request("1")));
  v1::MeasureReply reply;
  EXPECT_TRUE(stream->Read(&reply));
  EXPECT_TRUE(reply.has_result());
}

TEST_F(DeviceServiceTest, OversizeMessageIsRefused) {
  Connect();
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(-1);
  auto stub = v1::Device::NewStub(
      grpc::CreateCustomChannel(device_->address(), grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  Name(context, "lease", 5);
  auto stream = stub->Measure(&context);
  // Not in the object, which has a limit of its own.
  v1::MeasureRequest request = Request("1");
  request.mutable_cases(0)->set_explicit_case(std::string(kMaxMessageBytes, 'x'));
  stream->Write(request);
  v1::MeasureReply reply;
  ASSERT_FALSE(stream->Read(&reply)) << "it was taken";
  EXPECT_EQ(stream->Finish().error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Refused(Request("1", std::string(17 << 20, 'x'))), grpc::RESOURCE_EXHAUSTED);
}

// What a call without its lease, or with another's, ends with before a message is taken.
TEST_F(DeviceServiceTest, ACallWithoutItsLeaseTakesNoMessage) {
  Connect();
  const auto refused = [&](const std::vector<std::pair<std::string, std::string>>& metadata) {
    grpc::ClientContext context;
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    const auto stream = stub_->Measure(&context);
    v1::MeasureReply reply;
    EXPECT_FALSE(stream->Read(&reply));
    return stream->Finish();
  };
  const std::string now = std::to_string(kProtocolVersion);
  const grpc::Status old = refused({});
  EXPECT_EQ(old.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(old.error_message(), testing::HasSubstr("upgrade the client"));
  EXPECT_EQ(refused({{kProtocolMetadata, now}}).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(refused({{kProtocolMetadata, "x"}}).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(refused({{kProtocolMetadata, now}, {kLeaseMetadata, "lease"}, {kEpochMetadata, "4"}})
                .error_code(),
            grpc::FAILED_PRECONDITION);
  EXPECT_EQ(refused({{kProtocolMetadata, now}, {kLeaseMetadata, "lease"}, {kEpochMetadata, "-1"}})
                .error_code(),
            grpc::INVALID_ARGUMENT);
}

TEST_F(DeviceServiceTest, AMessageOfAnotherLeaseThanItsCallIsRefused) {
  Connect();
  v1::MeasureRequest other = Request("1");
  other.set_lease_id("another");
  stream_->Write(other);
  v1::MeasureReply reply;
  EXPECT_FALSE(stream_->Read(&reply));
  EXPECT_EQ(stream_->Finish().error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(DeviceServiceTest, ANewerCallOfTheLeaseTakesThePlaceOfTheFormer) {
  Connect();
  ASSERT_TRUE(stream_->Write(Request("1")));
  Read();
  grpc::ClientContext context;
  Name(context, "lease", 5);
  const auto newer = stub_->Measure(&context);
  ASSERT_TRUE(newer->Write(Request("2")));
  v1::MeasureReply reply;
  EXPECT_TRUE(newer->Read(&reply));
  EXPECT_FALSE(stream_->Read(&reply));
  EXPECT_FALSE(stream_->Finish().ok());
}

TEST_F(DeviceServiceTest, RevokedLeasesTrialIsBrokenOffAndWhatWaitedIsNotRun) {
  std::promise<void> started, resume;
  std::atomic<int> runs = 0;
  Connect([&](const HostRequest& request) {
    if (++runs == 1) {
      started.set_value();
      resume.get_future().wait();
    }
    return SampleReply(request);
  });
  ASSERT_TRUE(stream_->Write(Request("1")));
  ASSERT_TRUE(stream_->Write(Request("2")));
  started.get_future().wait();
  const bool both_came = device_->queue().AwaitJobs(2);
  EXPECT_EQ(device_->aborts(), 0);
  device_->fence().Revoke(5);
  EXPECT_EQ(device_->aborts(), 1);
  resume.set_value();
  ASSERT_TRUE(both_came);
  v1::MeasureReply reply;
  EXPECT_FALSE(stream_->Read(&reply));
  EXPECT_EQ(stream_->Finish().error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_EQ(runs, 1);
}

TEST_F(DeviceServiceTest, AbandonedTrialsAreDroppedAndTheNextClientIsServed) {
  std::promise<void> started, resume;
  std::atomic<int> runs = 0;
  Connect([&](const HostRequest& request) {
    if (++runs == 1) {
      started.set_value();
      resume.get_future().wait();
    }
    return SampleReply(request);
  });
  ASSERT_TRUE(stream_->Write(Request("1")));
  ASSERT_TRUE(stream_->Write(Request("2")));
  started.get_future().wait();
  const bool both_came = device_->queue().AwaitJobs(2);
  context_.TryCancel();
  EXPECT_EQ(stream_->Finish().error_code(), grpc::CANCELLED);
  // Because the client has gone: its lease is the latest still.
  EXPECT_TRUE(both_came && device_->queue().AwaitUnwanted(1));
  EXPECT_TRUE(device_->AwaitAbort());
  device_->fence().Grant({"next", "client", 6});
  grpc::ClientContext context;
  Name(context, "next", 6);
  auto stream = stub_->Measure(&context);
  v1::MeasureRequest request = Request("3");
  request.set_lease_id("next");
  request.set_epoch(6);
  ASSERT_TRUE(stream->Write(request));
  resume.set_value();
  v1::MeasureReply reply;
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.trial_id(), "3");
  EXPECT_EQ(runs, 2);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(DeviceServiceTest, ShutdownEndsStreams) {
  Connect();
  ASSERT_TRUE(stream_->Write(Request("1")));
  Read();
  device_->Shutdown();
  v1::MeasureReply reply;
  EXPECT_FALSE(stream_->Read(&reply));
  EXPECT_FALSE(stream_->Finish().ok());
}

}  // namespace
}  // namespace kiln
