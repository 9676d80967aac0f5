#include "apps/serving/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpc/support/log.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace kiln {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::SizeIs;

constexpr seconds kPatience{60};  // only what hangs takes so long
constexpr char kForm[] = R"(^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} (info|warning|error) .*$)";

// A pipe whose reader is the test.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0); }
  ~Pipe() {
    CloseReader();
    CloseWriter();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int writer() const { return ends_[1]; }
  void CloseReader() { Close(ends_[0]); }
  void CloseWriter() { Close(ends_[1]); }
  // Until a write would block.
  void Fill() const {
    fcntl(ends_[1], F_SETFL, O_NONBLOCK);
    const std::string block(4096, '.');
    while (write(ends_[1], block.data(), block.size()) > 0) {
    }
    fcntl(ends_[1], F_SETFL, 0);
  }
  // Reads on until the text has come, or everything if it is empty.
  std::string ReadUntil(const std::string& text) {
    char block[4096];
    while (text.empty() || read_.find(text) == std::string::npos) {
      pollfd ready{ends_[0], POLLIN, 0};
      if (poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) != 1) {
        ADD_FAILURE() << "nothing comes after: " << read_;
        break;
      }
      const ssize_t n = read(ends_[0], block, sizeof block);
      if (n <= 0) break;
      read_.append(block, static_cast<std::size_t>(n));
    }
    return read_;
  }

 private:
  static void Close(int& fd) {
    if (fd >= 0) close(std::exchange(fd, -1));
  }
  int ends_[2] = {-1, -1};
  std::string read_;
};

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// What follows the level.
std::vector<std::string> Messages(const std::string& text) {
  std::vector<std::string> messages = Lines(text);
  for (std::string& line : messages) {
    for (int space = 0; space < 2; ++space) line.erase(0, line.find(' ') + 1);
  }
  return messages;
}

class LogTest : public testing::Test {
 protected:
  // Writes to the pipe; when it has been told to end, all is said.
  void Begin(LogWriterOptions options = {}) {
    options.ending = ending_;
    LogTo(pipe_.writer(), options);
  }
  static void End() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("none")); }
  std::string EndAndRead() {
    const auto ended = std::async(std::launch::async, [this] {
      End();
      pipe_.CloseWriter();
    });
    return pipe_.ReadUntil("");
  }
  void TearDown() override { End(); }

  std::chrono::nanoseconds ending_ = kPatience;
  Pipe pipe_;
};

TEST_F(LogTest, LinesHaveTimeAndLevelAndComeInOrder) {
  Begin();
  for (int i = 0; i < 1000; ++i) spdlog::info("line {}", i);
  spdlog::warn("warned");
  spdlog::error("failed");
  const std::string text = EndAndRead();
  for (const std::string& line : Lines(text)) {
    EXPECT_TRUE(std::regex_match(line, std::regex(kForm))) << line;
  }
  const auto messages = Messages(text);
  ASSERT_THAT(messages, SizeIs(1002));
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(messages[static_cast<std::size_t>(i)], "line " + std::to_string(i));
  }
  EXPECT_THAT(Lines(text)[1001], HasSubstr(" error failed"));
}

TEST_F(LogTest, LinesOfAThreadStayInOrder) {
  Begin();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([thread] {
      for (int i = 0; i < 500; ++i) spdlog::error("{} {}", thread, i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<int> next(4, 0);
  for (const std::string& message : Messages(EndAndRead())) {
    int thread = -1, i = -1;
    std::istringstream(message) >> thread >> i;
    ASSERT_TRUE(thread >= 0 && thread < 4) << message;
    ASSERT_EQ(i, next[static_cast<std::size_t>(thread)]++);
  }
  EXPECT_EQ(next, std::vector<int>(4, 500));
}

TEST_F(LogTest, APipeThatNobodyReadsStopsNobodyAndThenSaysWhatIsLost) {
  pipe_.Fill();
  Begin();
  auto logged = std::async(std::launch::async, [] {
    for (int i = 0; i < 100'000; ++i) spdlog::error("line {}", i);
  });
  ASSERT_EQ(logged.wait_for(kPatience), std::future_status::ready) << "it waits for the reader";
  spdlog::error("the last");
  const std::string text = pipe_.ReadUntil("the last\n");
  // Said more than once if more was lost while that line waited for its turn.
  const std::regex sentence(" warning ([0-9,]+) lines lost: nobody read the log\n");
  std::size_t lost = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), sentence), end; it != end; ++it) {
    std::string count = (*it)[1];
    std::erase(count, ',');
    lost += std::stoul(count);
  }
  EXPECT_GT(lost, 0u);
  const std::regex error(" error ");
  const auto written = std::distance(std::sregex_iterator(text.begin(), text.end(), error), {});
  EXPECT_EQ(lost + static_cast<std::size_t>(written), 100'001u);
  EXPECT_THAT(text, HasSubstr(" line 99999\n"));
}

TEST_F(LogTest, WhatWaitsForAReaderIsBoundedInBytes) {
  pipe_.Fill();
  LogWriterOptions options;
  options.most_bytes = 16 << 10;
  Begin(options);
  for (int i = 0; i < 100; ++i) spdlog::error("{}", std::string(1000, 'x'));
  spdlog::error("the last");
  const std::string text = pipe_.ReadUntil("the last\n");
  EXPECT_THAT(text, HasSubstr(" lines lost: nobody read the log\n"));
  EXPECT_LT(text.size() - text.find('x'), 24u << 10);
}

TEST_F(LogTest, AMessageIsOneLineOfItsLengthWhateverIsInIt) {
  Begin();
  spdlog::error("key {}", "a\n2026-01-01T00:00:00.000 info all is well\x1b[2J\xff");
  spdlog::error("key {}", std::string(40 << 20, 'k'));
  EXPECT_THAT(Messages(EndAndRead()),
              ElementsAre("key a\\n2026-01-01T00:00:00.000 info all is well\\x1b[2J\\xff",
                          "key " + std::string(1020, 'k') + "... (41,943,044 bytes)"));
}

TEST_F(LogTest, AMessageThatCannotBeMadeIsSaid) {
  Begin();
  spdlog::error(fmt::runtime("{} {}"), 1);
  EXPECT_THAT(Messages(EndAndRead()), Contains(HasSubstr("could not be made")));
}

TEST_F(LogTest, RepeatedRefusalsAreSummedUpWithoutAnotherLine) {
  LogWriterOptions options;
  options.limits.calm = std::chrono::milliseconds(10);
  options.limits.warnings = {100, 0};
  Begin(options);
  for (int i = 0; i < 5000; ++i) spdlog::warn("device {} refused", i);
  const std::string text = pipe_.ReadUntil(" like this: device 100 refused\n");
  EXPECT_THAT(Lines(text)[99], EndsWith(" warning device 99 refused"));
  EXPECT_THAT(Lines(text)[100], HasSubstr(" more lines like this: "));
}

TEST_F(LogTest, WhatWasLeftOutIsSaidAtTheEnd) {
  LogWriterOptions options;
  options.limits.calm = options.limits.often = std::chrono::hours(1);
  options.limits.warnings = {1, 0};
  Begin(options);
  for (int i = 0; i < 1235; ++i) spdlog::warn("device refused");
  EXPECT_THAT(Messages(EndAndRead()),
              ElementsAre("device refused", "1,234 more lines like this: device refused"));
}

TEST_F(LogTest, APipeWhoseReaderHasGoneIsNoDeath) {
  signal(SIGPIPE, SIG_DFL);
  Begin();
  pipe_.CloseReader();
  for (int i = 0; i < 1000; ++i) spdlog::error("line {}", i);
  End();
}

TEST_F(LogTest, WhatCouldNotBeWrittenIsSaidWhenItCanBe) {
  std::string path = testing::TempDir() + "/log_test_XXXXXX";
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  path += "/fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int writer = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const auto log =
      NewLogWriter(writer, [](LogClass, std::string_view text) { return std::string(text) + "\n"; },
                   {.ending = kPatience});
  close(reader);
  log->Write("one\n");
  log->Write("two\n");
  EXPECT_TRUE(log->Flush(kPatience));
  reader = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  log->Write("three\n");
  EXPECT_TRUE(log->Flush(kPatience));
  char text[256];
  const ssize_t n = read(reader, text, sizeof text);
  EXPECT_EQ(std::string(text, static_cast<std::size_t>(std::max<ssize_t>(n, 0))),
            "2 lines lost: Broken pipe\nthree\n");
  close(reader);
  close(writer);
}

TEST_F(LogTest, TheEndDoesNotWaitForAReaderForLong) {
  pipe_.Fill();
  ending_ = std::chrono::milliseconds(50);
  Begin();
  spdlog::error("lost");
  auto ended = std::async(std::launch::async, [] { End(); });
  EXPECT_EQ(ended.wait_for(kPatience), std::future_status::ready);
}

TEST_F(LogTest, GrpcsLinesAreTheLogs) {
  Begin();
  LogGrpc();
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  gpr_log("file.cc", 7, GPR_LOG_SEVERITY_ERROR, "assertion failed: %s", "x\ny");
  gpr_log("file.cc", 8, GPR_LOG_SEVERITY_ERROR, "not for us");
  EXPECT_THAT(Messages(EndAndRead()), ElementsAre("gRPC: file.cc:7: assertion failed: x\\ny"));
}

// In programs of their own.
class LogEndTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  static void LogLines() {
    LogToStandardError();
    for (int i = 0; i < 5000; ++i) spdlog::error("line {}", i);
  }
  // Standard error is a pipe that nobody reads.
  static void LogLinesToNobody() {
    const Pipe pipe;
    pipe.Fill();
    dup2(pipe.writer(), STDERR_FILENO);
    LogLines();
    std::exit(3);
  }
};

TEST_F(LogEndTest, AProgramThatEndsHasSaidEverything) {
  EXPECT_EXIT(
      {
        LogLines();
        std::exit(3);
      },
      testing::ExitedWithCode(3), "line 0\n(.|\n)*line 4999\n");
}

TEST_F(LogEndTest, ACrashLosesNoLine) {
  EXPECT_EXIT(
      {
        LogLines();
        std::abort();
      },
      testing::KilledBySignal(SIGABRT), "line 4999\n");
}

TEST_F(LogEndTest, AProgramEndsThoughNobodyReads) {
  EXPECT_EXIT(LogLinesToNobody(), testing::ExitedWithCode(3), "");
}

}  // namespace
}  // namespace kiln
