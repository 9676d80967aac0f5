#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>

#include "base/digest.h"
#include "base/rng.h"
#include "host_process.h"
#include "ops/reference.h"
#include "ops/trial_limits.h"
#include "process_memory.h"
#include "test_kernels.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

int RunnerOf(int host) { return ChildOf(ChildOf(host)); }

class KilnHostTest : public testing::Test {
 protected:
  void SetUp() override { SKIP_WITHOUT_TEST_KERNELS(); }
  HostProcess host_;
};

TEST_F(KilnHostTest, CorrectKernelPassesOnBothPlacements) {
  const HostReply reply = host_.Ask(NaiveRequest("good"));
  EXPECT_EQ(Summary(reply), "ok") << reply.log;
  const HostRequest request = NaiveRequest("good");
  ASSERT_EQ(reply.digests.size(), 2u);
  EXPECT_EQ(reply.digests[0], request.cases[0].expected_digest);
  EXPECT_EQ(reply.digests[1], request.cases[1].expected_digest);
}

TEST_F(KilnHostTest, OutputComesBackIfAskedFor) {
  HostRequest request = NaiveRequest("good");
  request.cases[1].return_output = true;
  request.cases[1].check = false;
  const HostReply reply = host_.Ask(request);
  const OpCase op_case = NaiveCase(2);
  const auto y = RunReference(NaiveWorkload(), op_case.values, op_case.x);
  ASSERT_EQ(reply.outputs.size(), 2u);
  EXPECT_EQ(reply.outputs[0], "");
  EXPECT_EQ(reply.outputs[1], std::string(y.begin(), y.end()));
  EXPECT_EQ(reply.digests[1], Digest(y.data(), y.size()));
}

TEST_F(KilnHostTest, EveryThreadCountGivesTheSameBytes) {
  for (const int threads : {1, 2, 3, 4, 9}) {
    HostRequest request = NaiveRequest("good");
    request.plan.threads = threads;
    EXPECT_EQ(Summary(host_.Ask(request)), "ok") << threads << " threads";
  }
}

TEST_F(KilnHostTest, RecipeMakesDataOnTheDevice) {
  HostRequest request = NaiveRequest("good");
  request.cases = {HostCase{}, HostCase{}};
  for (std::size_t i = 0; i < 2; ++i) {
    HostCase& host_case = request.cases[i];
    host_case.set = i == 0 ? DataSet::kUniform : DataSet::kEdges;
    host_case.seed = 7;
    const OpCase op_case = MakeCase(request.workload, host_case.set, host_case.seed);
    const auto y = RunReference(request.workload, op_case.values, op_case.x);
    host_case.expected_digest = Digest(y.data(), y.size());
  }
  EXPECT_EQ(Summary(host_.Ask(request)), "ok");
  EXPECT_EQ(Summary(host_.Ask(request)), "ok") << "from the cache";
}

// The kernel calls through them, and does nothing where they are others.
TEST_F(KilnHostTest, PointersInConstantDataAreRelocated) {
  EXPECT_EQ(Summary(host_.Ask(NaiveRequest("relocated"))), "ok");
}

struct Misbehaviour {
  const char* kernel;
  const char* summary;  // how it starts
};

class MisbehaviourTest : public KilnHostTest, public testing::WithParamInterface<Misbehaviour> {};

TEST_P(MisbehaviourTest, EndsItsTrialAndNothingElse) {
  for (const int threads : {1, 2}) {
    HostRequest request = NaiveRequest(GetParam().kernel);
    request.plan.threads = threads;
    ASSERT_FALSE(request.object.empty());
    EXPECT_THAT(Summary(host_.Ask(request)), StartsWith(GetParam().summary));
    EXPECT_EQ(Summary(host_.Ask(NaiveRequest("good"))), "ok") << "the trial after it";
  }
}

constexpr Misbehaviour kMisbehaviours[] = {
    {"null_write",
     "RUNTIME_ERROR run: SIGSEGV: write at address 0x0000000000000000, outside of all buffers"},
    {"illegal_instruction", "RUNTIME_ERROR run: SIGILL: illegal instruction"},
    {"read_past_x", "RUNTIME_ERROR run: SIGSEGV: read past the end of x by 1 byte (case 1, high"},
    {"read_before_x", "RUNTIME_ERROR run: SIGSEGV: read before x by 1 byte (case 1, low"},
    {"read_past_weights", "RUNTIME_ERROR pack: SIGSEGV: read past the end of w by 1 byte"},
    {"write_past_y", "RUNTIME_ERROR run: SIGSEGV: write past the end of y by 1 byte"},
    {"write_before_y", "RUNTIME_ERROR verify: wrote outside of y (case 1, high-aligned)"},
    {"write_x", "RUNTIME_ERROR run: SIGSEGV: write to x at byte 5, which is read-only"},
    {"write_packed", "RUNTIME_ERROR run: SIGSEGV: write to packed at byte 3, which is read-only"},
    {"write_past_packed", "RUNTIME_ERROR pack: wrote outside of packed"},
    {"read_past_thread_ws",
     "RUNTIME_ERROR run: SIGSEGV: read past the end of thread_ws of thread "},
    {"write_past_shared_ws", "RUNTIME_ERROR run: wrote outside of shared_ws"},
    {"wrong", "WRONG_RESULT verify: case 1, high-aligned: digest "},
    {"skips_last_byte", "WRONG_RESULT verify: case 1, high-aligned: digest "},
    {"unsupported_isa", "UNSUPPORTED_ISA load: this machine lacks bit 63"},
    {"other_class", "WRONG_CLASS pack: pack: the values are outside of the kernel's class"},
    {"pack_crash", "RUNTIME_ERROR pack: SIGSEGV: read at address 0x0000000000000008"},
    {"wrong_abi", "BAD_OBJECT load: ABI 7, this host runs 1"},
    {"wrong_size", "BAD_OBJECT load: x has 127 bytes, the workload says 126"},
    {"too_much_memory", "BAD_OBJECT load: wants a buffer of more than 1 GiB"},
    {"stack_overflow", "RUNTIME_ERROR run: SIGSEGV: stack overflow"},
    {"end_process", "RUNTIME_ERROR run: the kernel ended the process with status 7"},
    {"open_file", "RUNTIME_ERROR run: SIGSYS: tried system call "},
    {"open_socket", "RUNTIME_ERROR run: SIGSYS: tried system call "},
    {"fork_process", "RUNTIME_ERROR run: SIGSYS: tried system call "},
    {"eat_memory", "RUNTIME_ERROR run: SIGSYS: tried system call "},
    {"writable_data", "BAD_OBJECT load: has writable data"},
    {"undefined_symbol", "BAD_OBJECT load: undefined symbol nobody_has_this"},
    {"thread_local_data", "BAD_OBJECT load: has thread-local data"},
    {"constructor", "BAD_OBJECT load: has constructors"},
    {"other_machine", "BAD_OBJECT load: built for "},
    {"gnu_hash", "BAD_OBJECT load: has no symbol table with DT_HASH"},
};
INSTANTIATE_TEST_SUITE_P(Kernels, MisbehaviourTest, testing::ValuesIn(kMisbehaviours),
                         [](const auto& param) { return std::string(param.param.kernel); });

TEST_F(KilnHostTest, SystemCallsAreNamed) {
  EXPECT_THAT(Summary(host_.Ask(NaiveRequest("open_file"))), HasSubstr("(openat)"));
  EXPECT_THAT(Summary(host_.Ask(NaiveRequest("open_socket"))), HasSubstr("(socket)"));
  EXPECT_THAT(Summary(host_.Ask(NaiveRequest("eat_memory"))), HasSubstr("(mmap)"));
}

TEST_F(KilnHostTest, EndlessKernelTimesOutOnAllThreads) {
  for (const int threads : {1, 3}) {
    HostRequest request = NaiveRequest("endless");
    request.plan.threads = threads;
    request.plan.time_out_ns = 50'000'000;
    EXPECT_EQ(Summary(host_.Ask(request)), "TIMEOUT run: did not end (case 1, high-aligned)");
    EXPECT_EQ(Summary(host_.Ask(NaiveRequest("good"))), "ok");
  }
}

TEST_F(KilnHostTest, WrongDigestIsAWrongResultWithTheOutput) {
  HostRequest request = NaiveRequest("good");
  request.cases[1].expected_digest ^= 1;
  request.cases[1].return_output = true;
  const HostReply reply = host_.Ask(request);
  EXPECT_THAT(Summary(reply), AllOf(StartsWith("WRONG_RESULT verify: case 1"),
                                    HasSubstr(Hex(request.cases[1].expected_digest))));
  EXPECT_EQ(reply.outputs[1].size(), 210u);
  EXPECT_TRUE(reply.digests.empty());
}

TEST_F(KilnHostTest, RequestsThatMakeNoSenseAreRefused) {
  const auto refusal = [this](auto&& change) {
    HostRequest request = NaiveRequest("good");
    change(request);
    return Summary(host_.Ask(request));
  };
  EXPECT_THAT(refusal([](HostRequest& r) { r.workload.stride_h = 0; }),
              StartsWith("refused: no such workload"));
  EXPECT_THAT(refusal([](HostRequest& r) { r.workload.h = 1 << 30; }),
              StartsWith("refused: no such workload"));
  EXPECT_THAT(refusal([](HostRequest& r) { r.workload.o = 6; }),
              StartsWith("refused: the case's w does not have the size"));
  EXPECT_THAT(refusal([](HostRequest& r) { r.cases.clear(); }),
              StartsWith("refused: a trial on 0 cases"));
  EXPECT_THAT(refusal([](HostRequest& r) { r.cases[0].explicit_case.pop_back(); }),
              StartsWith("refused: the explicit case cannot be read"));
  EXPECT_THAT(refusal([](HostRequest& r) { r.plan.threads = 0; }),
              StartsWith("refused: a plan for 0 threads"));
  EXPECT_THAT(refusal([](HostRequest& r) { r.plan.samples = 1 << 30; }),
              StartsWith("refused: a plan with 1073741824 samples"));
  EXPECT_THAT(refusal([](HostRequest& r) { r.plan.time_out_ns = -1; }),
              StartsWith("refused: a time-out of -1 ns"));
  EXPECT_THAT(refusal([](HostRequest& r) { r.cases.resize(9, r.cases[0]); }),
              StartsWith("refused: a trial on 9 cases; want 1 to 8"));
  EXPECT_THAT(refusal([](HostRequest& r) { r.symbol = "kiln_0"; }),
              StartsWith("BAD_OBJECT load: has no kiln_0_info"));
  EXPECT_EQ(Summary(host_.Ask(NaiveRequest("good"))), "ok");
}

TEST_F(KilnHostTest, MalformedFramesAreAnsweredAndSurvived) {
  const std::string frame = Serialize(NaiveRequest("good"));
  Rng rng(3);
  EXPECT_EQ(Summary(host_.AskRaw("")), "refused: a malformed request frame");
  EXPECT_EQ(Summary(host_.AskRaw(std::string(5000, '\xff'))), "refused: a malformed request frame");
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Summary(host_.AskRaw(frame.substr(0, rng.Below(frame.size())))),
              "refused: a malformed request frame");
  }
  EXPECT_EQ(Summary(host_.Ask(NaiveRequest("good"))), "ok");
}

// A few bytes name a gigabyte of data. Refused before any of it is made.
TEST_F(KilnHostTest, DataBeyondTheLimitAreNotMade) {
  HostRequest request = NaiveRequest("good");
  request.workload.h = request.workload.w = 8000;
  request.workload.c = request.workload.o = 16;
  HostCase recipe;
  recipe.source = HostCase::Source::kRecipe;
  request.cases.assign(8, recipe);
  EXPECT_THAT(Summary(host_.Ask(request)), AllOf(StartsWith("refused: a trial with "),
                                                 HasSubstr(" bytes of data; at most 536870912")));
  EXPECT_LT(MostMemoryOf(host_.pid()), 64 << 20);
}

// As large as one of its shape may be, of any shape: x, w, y or the channels take the most.
HostRequest LargestAdmitted(Rng& rng) {
  HostRequest request = NaiveRequest("good");
  Workload w;
  const std::int64_t kind = rng.Below(3);
  w.op = kind == 0 ? OpKind::kDense : kind == 1 ? OpKind::kConv2d : OpKind::kDepthwise;
  w.c = static_cast<std::int32_t>(1 << rng.Between(0, 13));
  w.o = kind == 2 ? w.c : static_cast<std::int32_t>(1 << rng.Between(0, 17));
  if (kind != 0) w.h = w.w = static_cast<std::int32_t>(rng.Between(1, 600));
  HostCase recipe;
  recipe.source = HostCase::Source::kRecipe;
  request.cases.clear();
  for (std::int64_t i = rng.Between(1, kMaxCases); i > 0; --i) {
    recipe.seed = rng.Next();
    request.cases.push_back(recipe);
  }
  for (std::int32_t step = 1 << 19; step > 0; step /= 2) {
    request.workload = w;
    request.workload.n = w.n + step;
    if (Objection(request).empty()) w.n += step;
  }
  request.workload = w;
  request.plan.time_out_ns = kMaxPlanNs;
  return request;
}

// The kernel computes something else, which is seen when the data have been made.
TEST_F(KilnHostTest, LargestRequestsTakeNoMoreMemoryThanTheyMay) {
  constexpr std::uint64_t kSeed = 11;
  const char* wanted = std::getenv("KILN_LARGE_REQUESTS");  // more than a test run has time for
  const int count = wanted ? std::atoi(wanted) : 6;
  Rng rng(kSeed);
  long most = 0;
  for (int i = 0; i < count;) {
    const HostRequest request = LargestAdmitted(rng);
    if (!Objection(request).empty()) continue;  // too large with a single row
    ++i;
    EXPECT_THAT(Summary(host_.Ask(request)), StartsWith("BAD_OBJECT load: ")) << i;
    most = std::max(most, MostMemoryOf(host_.pid()));
  }
  std::printf("seed %llu: %d requests, %ld MB at most\n", static_cast<unsigned long long>(kSeed),
              count, most >> 20);
  // What is kept, and what the making of one case takes beside it.
  EXPECT_LT(most, kMaxDataBytes / 2 * 3 + (64 << 20));
}

TEST_F(KilnHostTest, MakingTheDataCountsAgainstTheTimeOut) {
  HostRequest request = NaiveRequest("good");
  request.plan.time_out_ns = 1;
  EXPECT_EQ(Summary(host_.Ask(request)), "TIMEOUT load: making the data took all of the time");
  EXPECT_EQ(Summary(host_.Ask(NaiveRequest("good"))), "ok");
}

// Whoever runs out of memory may take it.
TEST_F(KilnHostTest, RunnerThatDiesBeforeItsTaskIsReplaced) {
  EXPECT_EQ(Summary(host_.Ask(NaiveRequest("good"))), "ok");
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(kill(RunnerOf(host_.pid()), SIGKILL), 0);
    EXPECT_EQ(Summary(host_.Ask(NaiveRequest("good"))), "ok");
  }
}

// Whatever such an object does, it does it in its own process; and what counts as right is right.
TEST_F(KilnHostTest, DamagedObjectsNeverHarmTheHost) {
  constexpr std::uint64_t kSeed = 4;
  const char* wanted = std::getenv("KILN_DAMAGED_OBJECTS");  // more than a test run has time for
  const int count = wanted ? std::atoi(wanted) : 400;
  HostRequest request = NaiveRequest("good");
  request.plan.time_out_ns = 200'000'000;
  request.plan.time = true;
  for (HostCase& host_case : request.cases) host_case.return_output = true;
  const HostReply good = host_.Ask(request);
  ASSERT_EQ(Summary(good), "ok");
  const std::string object = request.object;
  Rng rng(kSeed);
  std::map<std::string, int> outcomes;
  for (int i = 0; i < count; ++i) {
    request.object = object;
    for (int flips = 0; flips < 4; ++flips) {
      request.object[rng.Below(object.size())] ^= static_cast<char>(1 << rng.Below(8));
    }
    const HostReply reply = host_.Ask(request);
    ASSERT_FALSE(HasFailure()) << "object " << i << ", seed " << kSeed;
    const std::string summary = Summary(reply);
    if (summary == "ok") {
      ASSERT_EQ(reply.outputs, good.outputs) << "object " << i;
    }
    ++outcomes[summary.substr(0, summary.find(' '))];
  }
  for (const auto& [outcome, times] : outcomes) std::printf("%s: %d\n", outcome.c_str(), times);
  EXPECT_EQ(outcomes["DEVICE_LOST"], 0);
  EXPECT_EQ(Summary(host_.Ask(NaiveRequest("good"))), "ok");
}

TEST_F(KilnHostTest, LeavesWhenItsSocketCloses) { EXPECT_EQ(host_.Close(), 0); }

TEST_F(KilnHostTest, LeavesInTheMiddleOfATrialWhenItsSocketCloses) {
  HostRequest request = NaiveRequest("endless");
  request.plan.time_out_ns = 600'000'000'000;
  host_.Send(Serialize(request));
  EXPECT_EQ(host_.Close(), 0);
}

TEST_F(KilnHostTest, RunnerDiesWithItsKilledHost) {
  HostRequest request = NaiveRequest("endless");
  request.plan.time_out_ns = 600'000'000'000;
  host_.Send(Serialize(request));
  const int runner = static_cast<int>(syscall(SYS_pidfd_open, RunnerOf(host_.pid()), 0));
  ASSERT_GE(runner, 0);
  kill(host_.pid(), SIGKILL);
  pollfd end = {runner, POLLIN, 0};
  EXPECT_EQ(poll(&end, 1, 30'000), 1) << "it runs on";
  close(runner);
}

int StatusOf(const std::string& command, std::string& output) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::array<char, 1000> text;
  output.assign(text.data(), fread(text.data(), 1, text.size(), pipe));
  return WEXITSTATUS(pclose(pipe));
}

TEST(KilnHostCommandLineTest, SaysWhatItIs) {
  std::string output;
  EXPECT_EQ(StatusOf(KILN_HOST_PROGRAM " --version", output), 0);
  EXPECT_THAT(output, StartsWith("kiln-host 0."));
  EXPECT_EQ(StatusOf(KILN_HOST_PROGRAM " --help", output), 0);
  EXPECT_THAT(output, HasSubstr("usage: kiln-host"));
  EXPECT_EQ(StatusOf(KILN_HOST_PROGRAM " 3<&-", output), 2);
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 1);
  EXPECT_EQ(StatusOf(KILN_HOST_PROGRAM " --nonsense", output), 2);
}

}  // namespace
}  // namespace kiln
