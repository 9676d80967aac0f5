#include "rpc_server/host_process.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <stop_token>
#include <thread>

#include "base/helper_process.h"

namespace kiln {
namespace {

class HostProcessTest : public testing::Test {
 protected:
  HostReply Run(const std::string& symbol, const std::string& object = "x") {
    HostRequest request;
    request.symbol = symbol;
    request.object = object;
    return host_->Run(request, stop_.get_token());
  }
  // The process that answered; 0 if it was a failure.
  static double Pid(const HostReply& reply) {
    const auto* timings = std::get_if<Timings>(&reply.outcome);
    return timings ? timings->samples_ns.at(0) : 0;
  }

  std::stop_source stop_;
  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  const std::unique_ptr<HostProcess> host_ =
      NewHostProcess(*reactor_, FindHelper("kiln_fake_host").value_or(""), {});
};

TEST_F(HostProcessTest, OneHostServesManyRequests) {
  const double pid = Pid(Run("run"));
  EXPECT_GT(pid, 0);
  EXPECT_EQ(Pid(Run("run")), pid);
}

TEST_F(HostProcessTest, KernelThatKillsItsHostTwiceIsNamedAndTheNextTrialRuns) {
  const double pid = Pid(Run("run"));
  const HostReply reply = Run("die");
  const auto* failure = std::get_if<Failure>(&reply.outcome);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->kind, FailureKind::kHostKilled);
  EXPECT_EQ(failure->stage, Stage::kRun);
  EXPECT_THAT(failure->message,
              testing::StartsWith("took down kiln-host twice: killed by SIGABRT"));
  const double next = Pid(Run("run"));
  EXPECT_GT(next, 0);
  EXPECT_NE(next, pid);
}

TEST_F(HostProcessTest, HostThatDiesWithoutAKernelTooIsADeviceLost) {
  const auto sick = NewHostProcess(*reactor_, FindHelper("kiln_fake_host").value_or(""), {"sick"});
  const HostReply reply = sick->Run({}, {});
  const auto* failure = std::get_if<Failure>(&reply.outcome);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->kind, FailureKind::kDeviceLost);
  EXPECT_EQ(failure->stage, Stage::kDevice);
  EXPECT_THAT(failure->message, testing::HasSubstr("SIGABRT"));
}

TEST_F(HostProcessTest, DeathOnceIsTriedAgain) {
  const auto mark = std::filesystem::temp_directory_path() /
                    ("kiln_host_process_test." + std::to_string(getpid()));
  EXPECT_GT(Pid(Run("die once", mark.string())), 0);
  EXPECT_TRUE(std::filesystem::remove(mark)) << "it never died";
}

TEST_F(HostProcessTest, RunThatIsStoppedEndsAtOnceWithoutASecondTryAndTheNextOneRuns) {
  const double pid = Pid(Run("run"));
  const auto mark = std::filesystem::temp_directory_path() /
                    ("kiln_host_process_test.hangs." + std::to_string(getpid()));
  auto run = std::async(std::launch::async, [&] { return Run("hang", mark.string()); });
  while (!std::filesystem::exists(mark)) std::this_thread::yield();
  stop_.request_stop();
  const HostReply reply = run.get();
  const auto* failure = std::get_if<Failure>(&reply.outcome);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->kind, FailureKind::kDeviceLost);
  EXPECT_THAT(failure->message, testing::HasSubstr("broken off"));
  EXPECT_TRUE(std::filesystem::remove(mark));
  EXPECT_EQ(Pid(Run("hang", mark.string())), 0) << "stopped before it began";
  EXPECT_FALSE(std::filesystem::exists(mark));
  stop_ = {};
  const double next = Pid(Run("run"));
  EXPECT_GT(next, 0);
  EXPECT_NE(next, pid);
}

TEST_F(HostProcessTest, AnswerThatCannotBeReadIsADeviceLost) {
  const HostReply reply = Run("babble");
  const auto* failure = std::get_if<Failure>(&reply.outcome);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->kind, FailureKind::kDeviceLost);
}

TEST_F(HostProcessTest, HostSaysWhatMachineItIs) {
  const StatusOr<HostDescription> description = host_->Describe();
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->arch, DescribeHost().arch);
  EXPECT_EQ(description->isa, DetectIsa());
  EXPECT_GT(Pid(Run("run")), 0) << "and serves on";
  EXPECT_EQ(NewHostProcess(*reactor_, "/nowhere/kiln-host", {})->Describe().status().code(),
            StatusCode::kUnavailable);
}

TEST_F(HostProcessTest, MissingProgramIsADeviceLost) {
  const auto host = NewHostProcess(*reactor_, "/nowhere/kiln-host", {});
  const HostReply reply = host->Run({}, {});
  const auto* failure = std::get_if<Failure>(&reply.outcome);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->kind, FailureKind::kDeviceLost);
  EXPECT_EQ(failure->stage, Stage::kDevice);
  EXPECT_THAT(failure->message, testing::HasSubstr("/nowhere/kiln-host"));
}

}  // namespace
}  // namespace kiln
