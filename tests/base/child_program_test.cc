#include "base/child_program.h"

#include <gmock/gmock.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <condition_variable>
#include <csignal>
#include <future>
#include <mutex>
#include <optional>

#include "base/paths.h"
#include "tests/base/on_reactor.h"

namespace kiln {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

constexpr seconds kPatience{30};

// A program on a reactor's thread, and what it has told.
class ChildProgramTest : public testing::Test {
 protected:
  ~ChildProgramTest() override {
    OnReactor([this] { program_.reset(); });
  }

  void OnReactor(const std::function<void()>& work) const { RunOn(*reactor_, work); }

  Status Start(const ChildProgramOptions& options) {
    Status status;
    OnReactor([&] {
      auto program = StartProgram(*reactor_, options,
                                  {[this](std::string frame) { Note(std::move(frame)); },
                                   [this](const ProgramEnd& end) { NoteEnd(end); }});
      status = program.status();
      if (program.ok()) program_ = *std::move(program);
    });
    return status;
  }
  // The helper of tests/base/test_helper.cc, for which each frame is a command.
  void StartHelper() {
    const auto helper = FindHelper("kiln_test_helper");
    ASSERT_TRUE(helper.ok()) << helper.status();
    ASSERT_TRUE(Start({.program = *helper, .arguments = {}}).ok());
  }
  void StartShell(const std::string& script) {
    ASSERT_TRUE(Start({.program = "/bin/sh", .arguments = {"-c", script}}).ok());
  }
  void Send(const std::string& frame) {
    OnReactor([&] { program_->Send(frame); });
  }

  std::vector<std::string> AwaitFrames(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return frames_.size() >= count; });
    return frames_;
  }
  ProgramEnd AwaitEnd() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return end_.has_value(); });
    EXPECT_TRUE(end_) << "it goes on";
    return end_.value_or(ProgramEnd());
  }
  int ends() {
    const std::lock_guard lock(mutex_);
    return ends_;
  }

  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  std::unique_ptr<ChildProgram> program_;

 private:
  void Note(std::string frame) {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(end_) << "a frame after the end";
    frames_.push_back(std::move(frame));
    changed_.notify_all();
  }
  void NoteEnd(const ProgramEnd& end) {
    const std::lock_guard lock(mutex_);
    end_ = end;
    ++ends_;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> frames_;
  std::optional<ProgramEnd> end_;
  int ends_ = 0;
};

TEST_F(ChildProgramTest, FramesGoBothWaysInOrder) {
  StartHelper();
  const std::string large(3 << 20, 'x');
  OnReactor([&] {
    for (const std::string& frame : {std::string("one"), large, std::string()}) {
      program_->Send(frame);
    }
  });
  EXPECT_THAT(AwaitFrames(3), ElementsAre("one", large, ""));
}

TEST_F(ChildProgramTest, EndSaysStatusAndLastLinePrinted) {
  StartHelper();
  Send("complain");
  const ProgramEnd end = AwaitEnd();
  EXPECT_EQ(end.status, 1);
  EXPECT_EQ(end.how, "exited with status 1");
  EXPECT_EQ(end.last_line, "no memory left");
  OnReactor([] {});  // whatever else was pending
  EXPECT_EQ(ends(), 1);
}

TEST_F(ChildProgramTest, LastLineIsFoundHoweverMuchWasPrinted) {
  StartShell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); done >&2");
  const ProgramEnd end = AwaitEnd();
  EXPECT_EQ(end.status, 0);
  EXPECT_EQ(end.last_line, "line 19999");
}

TEST_F(ChildProgramTest, CrashIsToldWithItsSignal) {
  StartHelper();
  Send("segfault");
  const ProgramEnd end = AwaitEnd();
  EXPECT_EQ(end.status, -SIGSEGV);
  EXPECT_EQ(end.how, "killed by SIGSEGV");
}

TEST_F(ChildProgramTest, FrameOfTheEndIsReadBeforeTheEndIsTold) {
  StartHelper();
  Send("last words");
  EXPECT_EQ(AwaitEnd().status, 0);
  EXPECT_THAT(AwaitFrames(1), ElementsAre("last words"));
}

TEST_F(ChildProgramTest, KillEndsTheWholeGroup) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  StartHelper();
  Send("fork");
  const auto frames = AwaitFrames(1);
  ASSERT_EQ(frames.size(), 1u);
  OnReactor([&] { program_->Kill(); });
  EXPECT_EQ(AwaitEnd().how, "killed by SIGKILL");
  int status = 0;
  const pid_t forked = std::stoi(frames[0]);
  ASSERT_EQ(waitpid(forked, &status, 0), forked);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST_F(ChildProgramTest, SignalReachesTheProgram) {
  StartHelper();
  Send("hello");
  ASSERT_EQ(AwaitFrames(1).size(), 1u);
  OnReactor([&] { program_->Signal(SIGTERM); });
  EXPECT_EQ(AwaitEnd().status, -SIGTERM);
  OnReactor([&] {  // of a program that has ended: nobody else is meant
    program_->Signal(SIGTERM);
    program_->Kill();
    program_->Send("hello");
  });
}

// Who left the group has a session of its own, and its end of the socket.
TEST_F(ChildProgramTest, WhoeverKeepsTheSocketDoesNotKeepTheEndBack) {
  StartShell(
      "setsid /bin/sh -c 'printf \"\\010\\000\\000\\000%8d\" $$ >&3; exec sleep 1000' & wait");
  const auto frames = AwaitFrames(1);
  ASSERT_EQ(frames.size(), 1u);
  OnReactor([&] { program_->Signal(SIGKILL); });
  EXPECT_EQ(AwaitEnd().how, "killed by SIGKILL");
  EXPECT_EQ(kill(std::stoi(frames[0]), SIGKILL), 0) << "it still ran";
}

TEST_F(ChildProgramTest, FrameThatIsTooLargeIsNotRead) {
  StartShell("printf '\377\377\377\377and more' >&3; exit 4");
  EXPECT_EQ(AwaitEnd().status, 4);
  EXPECT_THAT(AwaitFrames(0), ElementsAre());
}

TEST_F(ChildProgramTest, NothingIsCalledOnceTheObjectIsGone) {
  StartHelper();
  Send("hello");
  ASSERT_EQ(AwaitFrames(1).size(), 1u);
  pid_t pid = 0;
  OnReactor([&] {
    pid = program_->pid();
    program_->Send("hello again");
    program_.reset();
  });
  // It is killed, and reaped on the reactor's thread.
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (kill(pid, 0) == 0 && std::chrono::steady_clock::now() < give_up) OnReactor([] {});
  EXPECT_NE(kill(pid, 0), 0);
  OnReactor([] {});
  EXPECT_EQ(ends(), 0);
  EXPECT_EQ(AwaitFrames(1).size(), 1u);
}

TEST_F(ChildProgramTest, ObjectMayGoWhileAFrameIsTold) {
  const auto helper = FindHelper("kiln_test_helper");
  ASSERT_TRUE(helper.ok()) << helper.status();
  std::promise<bool> told;
  OnReactor([&] {
    auto captured = std::make_shared<int>();
    auto on_frame = [&, weak = std::weak_ptr<int>(captured), captured](const std::string&) {
      const auto seen = weak;  // whatever becomes of this function
      auto& answer = told;
      program_.reset();
      answer.set_value(!seen.expired());
    };
    captured.reset();
    auto program = StartProgram(*reactor_, {.program = *helper, .arguments = {}},
                                {.frame = std::move(on_frame), .ended = nullptr});
    ASSERT_TRUE(program.ok());
    program_ = *std::move(program);
    program_->Send("hello");
  });
  EXPECT_TRUE(told.get_future().get()) << "the function went while it ran";
}

TEST_F(ChildProgramTest, ProgramThatCannotBeStartedIsNamed) {
  const Status status = Start({.program = "/nowhere/tuner", .arguments = {}});
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(Message(status), testing::HasSubstr("cannot start /nowhere/tuner: "));
}

TEST_F(ChildProgramTest, InputIsReadToItsEnd) {
  const std::string input = std::string(1 << 20, 'x') + "\nthe end\n";
  ASSERT_TRUE(Start({.program = "/bin/cat", .arguments = {}, .input = input}).ok());
  const ProgramEnd end = AwaitEnd();
  EXPECT_EQ(end.status, 0);
  EXPECT_EQ(end.last_line, "the end");
}

TEST_F(ChildProgramTest, InputIsAFileThatCanBeOpened) {
  ASSERT_TRUE(Start({.program = "/bin/cat", .arguments = {"/dev/stdin"}, .input = "again"}).ok());
  EXPECT_EQ(AwaitEnd().last_line, "again");
}

TEST_F(ChildProgramTest, WithoutInputThereIsNothingToRead) {
  ASSERT_TRUE(Start({.program = "/bin/sh", .arguments = {"-c", "cat; echo end"}}).ok());
  EXPECT_EQ(AwaitEnd().last_line, "end");
}

TEST_F(ChildProgramTest, InputThatNobodyReadsDoesNotMatter) {
  const std::string input(8 << 20, 'x');
  ASSERT_TRUE(Start({.program = "/bin/true", .arguments = {}, .input = input}).ok());
  EXPECT_EQ(AwaitEnd().status, 0);
}

}  // namespace
}  // namespace kiln
