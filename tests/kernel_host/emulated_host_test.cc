#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "base/paths.h"
#include "host_process.h"
#include "test_kernels.h"

// kiln-host for 64-bit Arm under qemu: what it loads, runs and says of kernels that go wrong. The
// emulator lets no filter for system calls in and does not tell reads from writes.

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Empty: not installed.
const std::string& Qemu() {
  static const std::string program = FindProgram("qemu-aarch64").value_or("");
  return program;
}

HostRequest EmulatedRequest(const std::string& kernel) {
  HostRequest request = NaiveRequest("aarch64/" + kernel);
  request.plan.time_out_ns = 60'000'000'000;
  return request;
}

class EmulatedHostTest : public testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_TEST_KERNELS();
    if (Qemu().empty() || !FindProgram(KILN_AARCH64_HOST_PROGRAM).ok()) {
      GTEST_SKIP() << "SKIPPED: no qemu-aarch64, or no compiler to build kiln-host-aarch64 with "
                      "(Debian: apt install qemu-user g++-aarch64-linux-gnu)";
    }
    host_.emplace(
        std::vector<std::string>{Qemu(), "-cpu", "cortex-a72", KILN_AARCH64_HOST_PROGRAM});
  }
  std::string Outcome(const std::string& kernel) {
    return Summary(host_->Ask(EmulatedRequest(kernel)));
  }
  std::optional<HostProcess> host_;
};

TEST_F(EmulatedHostTest, CorrectKernelsPassAndTheLogSaysThatThereIsNoFilter) {
  const HostReply reply = host_->Ask(EmulatedRequest("good"));
  EXPECT_EQ(Summary(reply), "ok");
  EXPECT_EQ(reply.digests.size(), 2u);
  EXPECT_THAT(reply.log, HasSubstr("no system call filter"));
  EXPECT_EQ(Outcome("relocated"), "ok") << "R_AARCH64_RELATIVE";
}

TEST_F(EmulatedHostTest, ThreadsGiveTheSameBytesAndAreTimed) {
  HostRequest request = EmulatedRequest("good");
  request.plan.threads = 3;
  request.plan.time = true;
  const HostReply reply = host_->Ask(request);
  ASSERT_EQ(Summary(reply), "ok");
  EXPECT_EQ(std::get<Timings>(reply.outcome).samples_ns.size(), 10u);
}

TEST_F(EmulatedHostTest, EndlessKernelTimesOut) {
  HostRequest request = EmulatedRequest("endless");
  request.plan.time_out_ns = 2'000'000'000;
  EXPECT_THAT(Summary(host_->Ask(request)), StartsWith("TIMEOUT run: did not end"));
  EXPECT_EQ(Outcome("good"), "ok") << "the trial after it";
}

struct Misbehaviour {
  const char* kernel;
  const char* summary;  // how it starts
};

class EmulatedMisbehaviourTest : public EmulatedHostTest,
                                 public testing::WithParamInterface<Misbehaviour> {};

TEST_P(EmulatedMisbehaviourTest, EndsItsTrialAndNothingElse) {
  EXPECT_THAT(Outcome(GetParam().kernel), StartsWith(GetParam().summary));
  EXPECT_EQ(Outcome("good"), "ok") << "the trial after it";
}

constexpr Misbehaviour kMisbehaviours[] = {
    {"null_write", "RUNTIME_ERROR run: SIGSEGV: access at address 0x0000000000000000, outside"},
    {"illegal_instruction", "RUNTIME_ERROR run: SIGILL: illegal instruction"},
    {"read_past_x", "RUNTIME_ERROR run: SIGSEGV: access past the end of x by 1 byte (case 1, high"},
    {"read_before_x", "RUNTIME_ERROR run: SIGSEGV: access before x by 1 byte (case 1, low"},
    {"write_past_y", "RUNTIME_ERROR run: SIGSEGV: access past the end of y by 1 byte"},
    {"write_x", "RUNTIME_ERROR run: SIGSEGV: access to x at byte 5, which is read-only"},
    {"write_past_packed", "RUNTIME_ERROR pack: wrote outside of packed"},
    {"wrong", "WRONG_RESULT verify: case 1, high-aligned: digest "},
    {"stack_overflow", "RUNTIME_ERROR run: SIGSEGV: stack overflow"},
    {"end_process", "RUNTIME_ERROR run: the kernel ended the process with status 7"},
    {"unsupported_isa", "UNSUPPORTED_ISA load: this machine lacks bit 63"},
    {"dotprod", "UNSUPPORTED_ISA load: this machine lacks dotprod"},
    {"writable_data", "BAD_OBJECT load: has writable data"},
};
INSTANTIATE_TEST_SUITE_P(Kernels, EmulatedMisbehaviourTest, testing::ValuesIn(kMisbehaviours),
                         [](const auto& param) { return std::string(param.param.kernel); });

TEST_F(EmulatedHostTest, KernelOfTheMachineThatEmulatesIsABadObject) {
  EXPECT_THAT(Summary(host_->Ask(NaiveRequest("good"))), StartsWith("BAD_OBJECT load: built for "));
}

std::string DescriptionOf(const std::string& cpu) {
  const std::string command = Qemu() + " -cpu " + cpu + " " KILN_AARCH64_HOST_PROGRAM " --describe";
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 1000> text;
  std::string output(text.data(), fread(text.data(), 1, text.size(), pipe));
  pclose(pipe);
  return output;
}

TEST_F(EmulatedHostTest, FeaturesAreThoseOfTheEmulatedProcessor) {
  EXPECT_EQ(DescriptionOf("cortex-a72"), "aarch64 neon, pages of 4096 bytes\n");
  EXPECT_EQ(DescriptionOf("cortex-a76"), "aarch64 neon dotprod, pages of 4096 bytes\n");
  EXPECT_EQ(DescriptionOf("neoverse-n1"), "aarch64 neon dotprod, pages of 4096 bytes\n");
  EXPECT_THAT(DescriptionOf("max"), StartsWith("aarch64 neon dotprod i8mm, "));
}

}  // namespace
}  // namespace kiln
