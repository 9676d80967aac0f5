#include "base/helper_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>
#include <vector>

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr seconds kPatience{30};

class HelperProcessTest : public testing::Test {
 protected:
  std::unique_ptr<HelperProcess> Start(std::vector<std::string> arguments = {}) {
    auto program = FindHelper("kiln_test_helper");
    EXPECT_TRUE(program.ok()) << program.status();
    auto helper = StartHelper(*reactor_, {*program, std::move(arguments), "tester"});
    EXPECT_TRUE(helper.ok()) << helper.status();
    return *std::move(helper);
  }

  // How a process that was handed to us as its subreaper ended: the signal, or -1.
  static int KilledBy(pid_t pid) {
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) return -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
  }

  static bool IsOurChild(pid_t pid) {
    return waitpid(pid, nullptr, WNOHANG) == 0 || errno != ECHILD;
  }

  const std::unique_ptr<Reactor> reactor_ = NewReactor();
};

TEST_F(HelperProcessTest, AnswersFrames) {
  auto helper = Start();
  EXPECT_EQ(*helper->Call("hello", kPatience), "hello");
  EXPECT_EQ(*helper->Call("", kPatience), "");
  const std::string large(5 << 20, 'x');
  EXPECT_EQ(*helper->Call(large, kPatience), large);
  EXPECT_TRUE(helper->alive());
}

TEST_F(HelperProcessTest, PassesArguments) {
  EXPECT_EQ(*Start({"--level=3"})->Call("arguments", kPatience), "--level=3");
}

TEST_F(HelperProcessTest, ThreadsMayTakeTurns) {
  std::unique_ptr<HelperProcess> helper;
  std::thread([&] { helper = Start(); }).join();  // with which it must not die
  for (int i = 0; i < 4; ++i) {
    std::thread([&] { EXPECT_EQ(*helper->Call("turn", kPatience), "turn"); }).join();
  }
}

TEST_F(HelperProcessTest, MissingProgramIsUnavailable) {
  auto helper = StartHelper(*reactor_, {"/nowhere/kiln-host", {}, "kiln-host"});
  ASSERT_FALSE(helper.ok());
  EXPECT_EQ(helper.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(Message(helper.status()), HasSubstr("/nowhere/kiln-host: No such file"));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a zombie is left";
}

TEST_F(HelperProcessTest, CrashNamesTheSignal) {
  auto helper = Start();
  auto answer = helper->Call("segfault", kPatience);
  EXPECT_EQ(answer.status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Message(answer.status()), "tester: killed by SIGSEGV");
  EXPECT_FALSE(helper->alive());
  EXPECT_FALSE(IsOurChild(helper->pid())) << "not reaped";
}

TEST_F(HelperProcessTest, ExitNamesTheStatus) {
  auto helper = Start();
  EXPECT_EQ(Message(helper->Call("exit", kPatience).status()), "tester: exited with status 7");
}

TEST_F(HelperProcessTest, ExitQuotesTheLastLine) {
  auto helper = Start();
  EXPECT_EQ(Message(helper->Call("complain", kPatience).status()),
            "tester: exited with status 1: no memory left");
}

TEST_F(HelperProcessTest, SpentHelperKeepsSayingHowItDied) {
  auto helper = Start();
  const std::string first = Message(helper->Call("exit", kPatience).status());
  EXPECT_EQ(Message(helper->Call("hello", kPatience).status()), first);
}

TEST_F(HelperProcessTest, AnswerSentBeforeTheEndCounts) {
  EXPECT_EQ(*Start()->Call("last words", kPatience), "last words");
}

TEST_F(HelperProcessTest, HangIsKilledAtTheDeadline) {
  auto helper = Start();
  auto answer = helper->Call("hang", milliseconds(50));
  EXPECT_EQ(answer.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(helper->alive());
  EXPECT_FALSE(IsOurChild(helper->pid())) << "not reaped";
}

// As on a machine that has better things to do: its work has not even begun.
TEST_F(HelperProcessTest, ProcessorTimeIsOnlyWhatTheHelperGot) {
  auto helper = Start();
  constexpr milliseconds kShort(100);
  EXPECT_EQ(*helper->Call("wait", kShort, HelperProcess::Clock::kProcessor), "wait");
  EXPECT_EQ(helper->Call("work", kShort, HelperProcess::Clock::kProcessor).status().code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_EQ(
      Start()->Call("hang", milliseconds(10), HelperProcess::Clock::kProcessor).status().code(),
      StatusCode::kDeadlineExceeded)
      << "ten times as long by the wall";
}

TEST_F(HelperProcessTest, StoppedHelperIsKilledAtTheDeadline) {
  auto helper = Start();
  kill(helper->pid(), SIGSTOP);
  EXPECT_EQ(helper->Call("hello", milliseconds(50)).status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(IsOurChild(helper->pid())) << "not reaped";
}

TEST_F(HelperProcessTest, ClosedSocketIsTheEndOfAHelper) {
  auto helper = Start();
  EXPECT_EQ(helper->Call("close", kPatience).status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(helper->alive());
}

TEST_F(HelperProcessTest, DestructionKillsAndReaps) {
  auto helper = Start();
  const pid_t pid = helper->pid();
  helper.reset();
  EXPECT_FALSE(IsOurChild(pid));
}

TEST_F(HelperProcessTest, DeathOfTheHelperKillsItsGroup) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  auto helper = Start();
  EXPECT_EQ(*helper->Call("group", kPatience), std::to_string(helper->pid()));
  const pid_t forked = std::stoi(*helper->Call("fork", kPatience));
  // The forked process still holds the socket open.
  EXPECT_EQ(Message(helper->Call("exit", kPatience).status()), "tester: exited with status 7");
  EXPECT_EQ(KilledBy(forked), SIGKILL);
}

TEST_F(HelperProcessTest, HelperDiesWithTheProgramThatStartedIt) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  auto helper = Start();
  const pid_t inner = std::stoi(*helper->Call("start inner", kPatience));
  helper.reset();  // by SIGKILL: no destructor of its own runs; its child becomes ours
  EXPECT_EQ(KilledBy(inner), SIGKILL);
}

TEST_F(HelperProcessTest, InheritsNoDescriptorButItsOwn) {
  const int leak = open("/dev/null", O_RDONLY);  // not close-on-exec
  ASSERT_GE(leak, 0);
  EXPECT_EQ(*Start()->Call("descriptors", kPatience), "0 1 2 3");
  close(leak);
}

}  // namespace
}  // namespace kiln
